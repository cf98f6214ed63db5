/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES_256_CTR_HMAC_SHA256, the layer cipher of ocicrypt: AES-256 in CTR mode, the nonce being the
 * whole first counter block, and HMAC-SHA-256 over the ciphertext with the same key.
 *
 * The verdict comes with the last byte, so everything this stage passes on before its finish() has
 * succeeded is unauthenticated.
 */
#include "stage_decrypt.h"

#include "blob_expect.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Hash a slice, decrypt it while it is in the first-level cache, go on. Where the second level
 * holds a whole buffer, any size from 4 KiB up runs equally fast (measured); this one is for
 * processors where it does not. */
enum { SLICE = 16 * 1024 };

struct decrypt {
    struct sl_stage stage;
    struct sl_blob_expect expect;
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_blob_sums *sums;
    EVP_CIPHER_CTX *ctr;
};

static int decrypt_slice(struct decrypt *d, uint8_t *data, size_t len, struct sl_error *err)
{
    int r = sl_blob_sums_update(d->sums, (struct sl_span){data, len}, err);
    if (r < 0)
        return r;
    int n;
    if (!EVP_DecryptUpdate(d->ctr, data, &n, data, (int)len) || (size_t)n != len)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in AES-256-CTR");
    return 0;
}

static int decrypt_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct decrypt *d = (struct decrypt *)stage;
    struct sl_buf *buf = *bufp;
    int r = sl_blob_expect_count(&d->expect, buf->len, err);
    for (size_t at = 0; r >= 0 && at < buf->len; at += SLICE) {
        size_t left = buf->len - at;
        r = decrypt_slice(d, buf->data + buf->off + at, left < SLICE ? left : SLICE, err);
    }
    return r < 0 ? r : sl_stage_push(stage->next, bufp, err);
}

static int decrypt_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct decrypt *d = (struct decrypt *)stage;
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
    int r = sl_blob_sums_final(d->sums, &digest, mac, err);
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
    (void)sl_blob_sums_free(d->sums);
    EVP_CIPHER_CTX_free(d->ctr); /* wipes its key schedule */
    free(d);
}

static const struct sl_stage_ops decrypt_ops = {
    .name = "decrypt",
    .phase = SL_PHASE_CIPHER,
    .push = decrypt_push,
    .finish = decrypt_finish,
    .close = decrypt_close,
};

static int set_up(struct decrypt *d, enum sl_blob_sums_kind kind, const struct sl_layer_key *key,
                  struct sl_error *err)
{
    int r = sl_blob_sums_new(kind, d->expect.digest.alg, key->lek, &d->sums, err);
    if (r < 0)
        return r;
    d->ctr = EVP_CIPHER_CTX_new();
    if (!d->ctr || !EVP_DecryptInit_ex2(d->ctr, EVP_aes_256_ctr(), key->lek, key->nonce,
                                        /* params= */ NULL))
        return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "OpenSSL cannot set up AES-256-CTR");
    return 0;
}

int sl_stage_decrypt_new_with(enum sl_blob_sums_kind kind, const struct sl_layer_key *key,
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
    int r = set_up(d, kind, key, err);
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
    return sl_stage_decrypt_new_with(SL_SUMS_BEST, key, hmac, blob, size, ret, err);
}
