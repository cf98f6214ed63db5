/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever writes the manifest controls these bytes: one decoded element of enc.keys.pkcs11. */
#include "fuzz_key.h"
#include "pkcs11_blob.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and reads the same. */
static void read_again(const struct sl_pkcs11_blob *blob)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_DONE(sl_pkcs11_blob) again = {.n = 0};
    if (sl_pkcs11_blob_write(blob, &text, NULL) < 0 ||
        sl_pkcs11_blob_parse(sl_bytes_span(&text), &again, NULL) < 0 || again.n != blob->n)
        abort();
    for (size_t i = 0; i < blob->n; i++)
        if (again.recipients[i].text.len != blob->recipients[i].text.len ||
            strcmp(again.recipients[i].digest, blob->recipients[i].digest) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_pkcs11_blob) blob = {.n = 0};
    struct sl_bytes plbco = {0};
    struct sl_error err;
    if (sl_pkcs11_blob_parse((struct sl_span){data, size}, &blob, &err) == 0)
        read_again(&blob);
    if (sl_unwrap_pkcs11(fuzz_key_ring(), (struct sl_span){data, size}, &plbco, &err) == 0)
        abort();
    return 0;
}
