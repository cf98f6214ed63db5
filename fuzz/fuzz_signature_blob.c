/* SPDX-License-Identifier: Apache-2.0 */
/* A file of a lookaside, or what a registry's signature extension answers: '{' begins the latter,
 * and no file. */
#include "sluice/lookaside.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_signatures) list = {0};
    struct sl_signature one = {0};
    struct sl_error err;
    const struct sl_span bytes = {data, size};
    int r = sl_signature_from_blob(bytes, &one, &err);
    if (r == 0 && (one.bytes.len == 0 || one.bytes.len > SL_SIGNATURE_PAYLOAD_MAX))
        abort();
    sl_signature_done(&one);
    r = sl_signatures_from_extension(bytes, "fuzz", &list, &err);
    if (r == 0 && list.n > SL_SIGNATURES_MAX)
        abort();
    return 0;
}
