/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/signature_policy.h"

int sl_signature_policy_judge(const struct sl_signature_policy *policy,
                              const struct sl_judged_image *image,
                              const struct sl_signatures *signatures,
                              struct sl_approval **ret_approval,
                              struct sl_policy_verdict **ret_verdict, struct sl_error *err)
{
    (void)policy;
    (void)image;
    (void)signatures;
    (void)ret_approval;
    (void)ret_verdict;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_approve_insecurely(const struct sl_judged_image *image, struct sl_approval **ret,
                          struct sl_error *err)
{
    (void)image;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

struct sl_approval *sl_approval_free(struct sl_approval *approval)
{
    (void)approval;
    return NULL;
}

const struct sl_digest *sl_approval_manifest(const struct sl_approval *approval)
{
    (void)approval;
    return NULL;
}

const char *sl_approval_name(const struct sl_approval *approval)
{
    (void)approval;
    return NULL;
}

struct sl_policy_verdict *sl_policy_verdict_free(struct sl_policy_verdict *verdict)
{
    (void)verdict;
    return NULL;
}
