/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decrypts a layer (layer_cipher.h says how it is encrypted) and checks its blob.
 *
 * The verdict comes with the last byte, so everything this stage passes on before its finish() has
 * succeeded is unauthenticated.
 */
#include "stage_decrypt.h"

#include "blob_expect.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct decrypt {
    struct sl_stage stage;
    struct sl_blob_expect expect;
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_layer_cipher *cipher;
};

static int decrypt_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct decrypt *d = (struct decrypt *)stage;
    struct sl_buf *buf = *bufp;
    int r = sl_blob_expect_count(&d->expect, buf->len, err);
    if (r >= 0)
        r = sl_layer_cipher_decrypt(d->cipher, buf->data + buf->off, buf->len, err);
    return r < 0 ? r : sl_stage_push(stage->next, bufp, err);
}

static int decrypt_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct decrypt *d = (struct decrypt *)stage;
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
    int r = sl_layer_cipher_final(d->cipher, &digest, mac, err);
    if (r < 0)
        return r;
    /* A damaged blob also has the wrong MAC; the digest tells it from a wrong key. */
    r = sl_blob_expect_verify(&d->expect, &digest, err);
    if (r < 0)
        return r;
    if (CRYPTO_memcmp(mac, d->hmac, sizeof(mac)))
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "could not properly decrypt byte stream: the layer's HMAC does not "
                            "match; the key belongs to another layer, or the annotations were "
                            "changed");
    return 0;
}

static void decrypt_close(struct sl_stage *stage)
{
    struct decrypt *d = (struct decrypt *)stage;
    (void)sl_layer_cipher_free(d->cipher);
    free(d);
}

static const struct sl_stage_ops decrypt_ops = {
    .name = "decrypt",
    .phase = SL_PHASE_CIPHER,
    .push = decrypt_push,
    .finish = decrypt_finish,
    .close = decrypt_close,
};

int sl_stage_decrypt_new_with(enum sl_layer_cipher_kind kind, const struct sl_layer_key *key,
                              const uint8_t hmac[SL_HMAC_SIZE], const struct sl_digest *blob,
                              uint64_t size, struct sl_stage **ret, struct sl_error *err)
{
    if (!key || !hmac)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "cannot decrypt a layer without its %s",
                            key ? "HMAC" : "key");
    struct decrypt *d = calloc(1, sizeof(*d));
    if (!d)
        return sl_error_oom(err);
    d->stage.ops = &decrypt_ops;
    d->expect = (struct sl_blob_expect){.digest = *blob, .size = size};
    memcpy(d->hmac, hmac, sizeof(d->hmac));
    int r = sl_layer_cipher_new(kind, blob->alg, key, &d->cipher, err);
    if (r < 0) {
        decrypt_close(&d->stage);
        return r;
    }
    *ret = &d->stage;
    return 0;
}

int sl_stage_decrypt_new(const struct sl_layer_key *key, const uint8_t hmac[SL_HMAC_SIZE],
                         const struct sl_digest *blob, uint64_t size, struct sl_stage **ret,
                         struct sl_error *err)
{
    return sl_stage_decrypt_new_with(SL_CIPHER_BEST, key, hmac, blob, size, ret, err);
}
