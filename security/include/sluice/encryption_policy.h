/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which images must be, may be and must not be encrypted, and under which keys. Whether a layer is
 * decrypted is decided by its media type, which anybody on the way can change; this is the
 * operator's word against that. Evaluated before any blob is fetched.
 *
 *   {"default": {"encryption": "optional"},
 *    "scopes": {"registry.example.com/team": {"encryption": "required",
 *                 "kids": ["kbs:///default/key/"], "protocols": ["provider"],
 *                 "providers": ["attestation-agent"], "wrap_types": ["A256GCM"]},
 *               "*.example.org": {"encryption": "forbidden"}}}
 */
#pragma once

#include "sluice/core/bytes.h"

enum sl_encryption_demand {
    SL_ENCRYPTION_OPTIONAL,
    SL_ENCRYPTION_REQUIRED,
    SL_ENCRYPTION_FORBIDDEN
};

struct sl_encryption_policy;
/* Strict: unknown and duplicate members, a missing default, unknown values are errors that say
 * where. */
SL_MUST_CHECK int sl_encryption_policy_parse(struct sl_span json, struct sl_encryption_policy **ret,
                                             struct sl_error *err);
SL_MUST_CHECK int sl_encryption_policy_open(const char *path, struct sl_encryption_policy **ret,
                                            struct sl_error *err);
struct sl_encryption_policy *sl_encryption_policy_free(struct sl_encryption_policy *policy);
SL_DEFINE_AUTO(sl_encryption_policy, sl_encryption_policy_free)

/* The rule for one image. Borrowed from the policy. */
struct sl_encryption_rule;
/* The most specific scope that fits the canonical name "host/repo/image:tag" or "...@digest": the
 * whole name, the repository, each of its parents, the host, "*.domain" from the longest; then the
 * default. As containers-policy.json(5) matches docker scopes. Names of layouts ("oci:/dir:tag")
 * match exactly, or by the directories above them, the last of which is "oci:". */
const struct sl_encryption_rule *
sl_encryption_policy_find(const struct sl_encryption_policy *policy, const char *name);
const char *
sl_encryption_rule_scope(const struct sl_encryption_rule *rule); /* "" for the default */
enum sl_encryption_demand sl_encryption_rule_demand(const struct sl_encryption_rule *rule);
/* 0, or SL_E_POLICY: this layer may not be (un)encrypted. */
SL_MUST_CHECK int sl_encryption_rule_check_layer(const struct sl_encryption_rule *rule,
                                                 bool is_encrypted, struct sl_error *err);
/* What a wrapped key says of itself; NULL or "" when it does not say. A list in the rule demands
 * that it says so, and what is in the list: kids by prefix of the canonical URI ending at a '/' or
 * whole, the others exactly. Lists of kids and wrap_types speak of provider packets only. */
struct sl_wrapped_key_facts {
    const char *protocol, *provider, *kid, *wrap_type;
};
SL_MUST_CHECK int sl_encryption_rule_check_key(const struct sl_encryption_rule *rule,
                                               const struct sl_wrapped_key_facts *facts,
                                               struct sl_error *err);
