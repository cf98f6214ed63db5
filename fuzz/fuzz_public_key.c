/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever signs an image, or writes a log's entry, controls these bytes: a public key, PEM or DER.
 */
#include "sigstore_trust.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(struct sl_public_key *key)
{
    char name[SL_FINDING_TEXT_MAX];
    static const uint8_t zeros[64];
    sl_public_key_describe(key, name);
    if (strlen(name) != strlen("sha256:") + 64 ||
        sl_public_key_verify(key, (struct sl_span){zeros, 1}, (struct sl_span){zeros, 0}, true))
        abort();
    (void)sl_public_key_verify(key, (struct sl_span){zeros, 1}, (struct sl_span){zeros, 64}, true);
    sl_public_key_done(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_public_key key = {0};
    struct sl_error err;
    if (sl_public_key_parse_pem((struct sl_span){data, size}, &key, &err) == 0)
        use(&key);
    if (sl_public_key_parse_der((struct sl_span){data, size}, &key, &err) == 0)
        use(&key);
    return 0;
}
