/* SPDX-License-Identifier: Apache-2.0 */
#include "policy_document.h"
#include "sluice/signature_policy.h"

const char *sl_requirement_type_name(enum sl_requirement_type type)
{
    (void)type;
    return NULL;
}

int sl_policy_find(const struct sl_signature_policy *policy, const char *name,
                   const struct sl_requirements **ret, const struct sl_policy_scope **ret_scope,
                   struct sl_error *err)
{
    (void)policy;
    (void)name;
    (void)ret;
    (void)ret_scope;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_signature_policy_needs(const struct sl_signature_policy *policy, const char *name,
                              struct sl_signature_needs *ret, struct sl_error *err)
{
    (void)policy;
    (void)name;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

const struct sl_digest *sl_signature_policy_digest(const struct sl_signature_policy *policy)
{
    (void)policy;
    return NULL;
}

struct sl_signature_policy *sl_signature_policy_free(struct sl_signature_policy *policy)
{
    (void)policy;
    return NULL;
}
