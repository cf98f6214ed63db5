/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever writes the manifest controls these bytes: one decoded element of enc.keys.pkcs7. */
#include "fuzz_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_bytes plbco = {0};
    struct sl_error err;
    if (sl_unwrap_pkcs7(fuzz_key_ring(), (struct sl_span){data, size}, &plbco, &err) == 0)
        abort();
    return 0;
}
