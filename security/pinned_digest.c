/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/resource.h"

int sl_pinned_digest_check(const char *pin, struct sl_span bytes, const char *what,
                           struct sl_error *err)
{
    (void)pin;
    (void)bytes;
    (void)what;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_pinned_digest_parse(const char *pin, struct sl_error *err)
{
    (void)pin;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
