/* SPDX-License-Identifier: Apache-2.0 */
#include "aes_seal.h"
#include "sluice/layer_crypto.h"

#include <openssl/evp.h>
#include <string.h>

/* Keeps the check apart from the layer's MAC, which has the same key. The NUL counts. */
static const char label[] = "sluice layer key check v1";

void sl_layer_key_done(struct sl_layer_key *key)
{
    if (key)
        sl_wipe(key, sizeof(*key));
}

int sl_layer_key_generate(struct sl_layer_key *ret, struct sl_error *err)
{
    struct sl_layer_key key = {0};
    int r = sl_random_key(key.lek, sizeof(key.lek), err);
    if (r == 0)
        r = sl_random_iv(key.nonce, sizeof(key.nonce), err);
    if (r == 0)
        *ret = key;
    sl_layer_key_done(&key);
    return r;
}

int sl_layer_key_check(const struct sl_layer_key *key, const struct sl_digest *blob,
                       uint8_t ret[SL_KEY_CHECK_SIZE], struct sl_error *err)
{
    char digest[SL_DIGEST_TEXT_MAX] = {0};
    sl_digest_format(blob, digest);
    size_t digest_len = strlen(digest);

    uint8_t message[sizeof(label) + SL_NONCE_SIZE + SL_DIGEST_TEXT_MAX];
    memcpy(message, label, sizeof(label));
    memcpy(message + sizeof(label), key->nonce, SL_NONCE_SIZE);
    /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes to hash, not a string */
    memcpy(message + sizeof(label) + SL_NONCE_SIZE, digest, digest_len);
    const uint8_t *mac =
        EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key->lek, SL_LEK_SIZE, message,
                  sizeof(label) + SL_NONCE_SIZE + digest_len, ret, SL_KEY_CHECK_SIZE, NULL);
    sl_wipe(message, sizeof(message));
    if (!mac)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in HMAC-SHA-256");
    return 0;
}
