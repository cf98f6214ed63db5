/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_sct_check(const struct sl_sigstore_trust *trust, X509 *leaf, X509 *issuer,
                 struct sl_error *err)
{
    (void)trust;
    (void)leaf;
    (void)issuer;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
