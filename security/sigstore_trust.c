/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_sigstore_trust_open(const struct sl_requirement *requirement, struct sl_sigstore_trust **ret,
                           enum sl_signature_code *ret_code, struct sl_error *err)
{
    (void)requirement;
    (void)ret;
    (void)ret_code;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

struct sl_sigstore_trust *sl_sigstore_trust_free(struct sl_sigstore_trust *trust)
{
    (void)trust;
    return NULL;
}
