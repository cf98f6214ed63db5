/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/signature_policy.h"

int sl_signature_policy_parse(struct sl_span json,
                              const struct sl_signature_policy_options *options,
                              struct sl_resources *resources, struct sl_signature_policy **ret,
                              struct sl_error *err)
{
    (void)json;
    (void)options;
    (void)resources;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
