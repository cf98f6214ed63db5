/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's host may hand the policy over, to be compared with a launch digest only afterwards; the
 * name is a user's. The first line is the name, the rest the policy, in both dialects. */
#include "sluice/core/log.h"
#include "sluice/signature_policy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const struct sl_signature_policy *policy, const char *name)
{
    const struct sl_judged_image image = {.name = name};
    const struct sl_signatures none = {0};
    struct sl_signature_needs needs;
    struct sl_error err;
    SL_AUTO(sl_approval) approval = NULL;
    SL_AUTO(sl_policy_verdict) verdict = NULL;
    if (sl_signature_policy_needs(policy, name, &needs, &err) < 0)
        return;
    int r = sl_signature_policy_judge(policy, &image, &none, &approval, &verdict, &err);
    /* Verification has no third answer, and what needs a signature does not get one here. */
    if (r > 0 || (r == 0) != (approval != NULL))
        abort();
    if (r == 0 && (needs.simple || needs.sigstore))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
    if (!eol)
        return 0;
    sl_log_setup(SL_LOG_ERROR, /* as_json= */ 0);
    size_t len = (size_t)(eol - data);
    SL_AUTO_FREE char *name = strndup((const char *)data, len);
    struct sl_span json = {eol + 1, size - len - 1};
    for (int is_compat = 0; name && is_compat < 2; is_compat++) {
        const struct sl_signature_policy_options options = {.compat_image_rs = is_compat};
        SL_AUTO(sl_signature_policy) policy = NULL;
        struct sl_error err;
        if (sl_signature_policy_parse(json, &options, /* resources= */ NULL, &policy, &err) == 0)
            judge(policy, name);
    }
    return 0;
}
