/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_trusted_root_parse(struct sl_span json, struct sl_sigstore_trust *trust,
                          struct sl_error *err)
{
    (void)json;
    (void)trust;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
