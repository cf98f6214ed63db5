/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the policy parser. Inside security/ only. */
#pragma once

#include "policy_document.h"

#include "sluice/core/json.h"

struct sl_policy_parser {
    bool is_compat; /* the dialect of image-rs */
    struct sl_error *err;
    const struct sl_json *at; /* after a failure: what the message is about */
    size_t n_requirements, n_keys;
};

/* SL_E_FORMAT about this node. */
int sl_policy_fail(struct sl_policy_parser *p, const struct sl_json *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- objects of a fixed shape (policy_object.c) ---- */

/* Reads one member into a field of what the object describes. */
typedef int sl_policy_member_fn(struct sl_policy_parser *p, const struct sl_json *node,
                                void *field);
struct sl_policy_member {
    const char *name;
    sl_policy_member_fn *parse; /* NULL: read elsewhere */
    size_t offset;              /* of the field */
    bool is_needed;
};
/* The table ends at a member without name. Members that are not in it refuse the object. */
SL_MUST_CHECK int sl_policy_parse_object(struct sl_policy_parser *p, const struct sl_json *node,
                                         const struct sl_policy_member *members, void *into);
/* The string that is the object's member "type". */
SL_MUST_CHECK int sl_policy_object_type(struct sl_policy_parser *p, const struct sl_json *node,
                                        const char **ret);
sl_policy_member_fn sl_policy_text; /* char *; "" is refused */

/* ---- requirements (policy_requirement.c, policy_identity.c, policy_key_members.c) ---- */

sl_policy_member_fn sl_policy_requirements; /* struct sl_requirements */
sl_policy_member_fn sl_policy_identity;     /* struct sl_identity_rule */

/* All of struct sl_key_sources, which they refuse to fill twice. */
sl_policy_member_fn sl_policy_key_path;      /* "" counts as absent: another one is needed then */
sl_policy_member_fn sl_policy_demanded_path; /* "" is refused: absent, it would demand less */
sl_policy_member_fn sl_policy_key_paths;     /* at least one */
sl_policy_member_fn sl_policy_key_data;      /* base64; "" is a key of no bytes */
sl_policy_member_fn sl_policy_key_datas;
sl_policy_member_fn sl_policy_key_data_or_pem; /* with is_compat also the bare PEM text */

/* ---- the whole policy ---- */

/* Reads what the policy names, and parses it where that is possible beforehand (policy_keys.c).
 * resources NULL: nothing can be read. What fails is noted where it stands. */
void sl_policy_read_keys(struct sl_signature_policy *policy, const struct sl_resources *resources);
/* Logs what is legal and looks like a mistake (policy_warnings.c). */
void sl_policy_warn(const struct sl_signature_policy *policy);
/* Some requirement of the policy does not accept everything. */
bool sl_policy_verifies(const struct sl_signature_policy *policy);
