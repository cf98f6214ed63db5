/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/lookaside.h"

int sl_signature_from_blob(struct sl_span blob, struct sl_signature *ret, struct sl_error *err)
{
    (void)blob;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_signatures_from_extension(struct sl_span json, const char *where, struct sl_signatures *ret,
                                 struct sl_error *err)
{
    (void)json;
    (void)where;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
