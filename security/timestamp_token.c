/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_timestamp_check(const struct sl_sigstore_trust *trust, struct sl_span response,
                       struct sl_span signature, int64_t *ret_time, struct sl_error *err)
{
    (void)trust;
    (void)response;
    (void)signature;
    (void)ret_time;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
