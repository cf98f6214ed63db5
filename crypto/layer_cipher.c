/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In one pass, the place in the stream is that of the pair of hashes: its blocks begin where every
 * fourth block of AES does. What completes no such block is hashed into the pair's tail, and takes
 * its part of a key stream that is kept for the rest of the block.
 */
#include "layer_cipher.h"

#include "aes256_ctr.h"
#include "sha256_pair.h"
#include "sluice/core/secret.h"

#include <openssl/evp.h>

/* In several passes: one slice after the other, each while it is in the first-level cache. Where
 * the second level holds a whole buffer, any size from 4 KiB up runs equally fast (measured); this
 * one is for processors where it does not. */
enum { SLICE = 16 * 1024 };

struct sl_layer_cipher {
    struct sl_blob_sums *sums;
    /* One pass: pair is that of sums, and not NULL. */
    struct sl_sha256_pair *pair;
    struct sl_aes256_ctr ctr;
    uint8_t keystream[SL_SHA256_BLOCK]; /* of the block in the pair's tail, if there is one */
    /* Several passes. */
    EVP_CIPHER_CTX *openssl;
};

enum way { DECRYPT, ENCRYPT };

/* ---- one pass ---- */

/* n bytes, all within one block. */
static void cross_part(struct sl_layer_cipher *c, enum way way, uint8_t *data, size_t n)
{
    size_t at = c->pair->length % SL_SHA256_BLOCK;
    if (at == 0)
        sl_aes256_ctr_keystream(&c->ctr, c->keystream);
    if (way == DECRYPT)
        sl_sha256_pair_update(c->pair, (struct sl_span){data, n});
    for (size_t i = 0; i < n; i++)
        data[i] ^= c->keystream[at + i];
    if (way == ENCRYPT)
        sl_sha256_pair_update(c->pair, (struct sl_span){data, n});
}

static void cross_blocks(struct sl_layer_cipher *c, enum way way, uint8_t *data, size_t n_blocks)
{
    struct sl_sha256_pair *p = c->pair;
    if (way == DECRYPT)
        sl_aes256_ctr_decrypt_pair(&c->ctr, p->state[0], p->state[1], data, n_blocks);
    else
        sl_aes256_ctr_encrypt_pair(&c->ctr, p->state[0], p->state[1], data, n_blocks);
    p->length += n_blocks * SL_SHA256_BLOCK;
}

static void cross(struct sl_layer_cipher *c, enum way way, uint8_t *data, size_t len)
{
    size_t in_tail = c->pair->length % SL_SHA256_BLOCK;
    size_t head = in_tail ? SL_SHA256_BLOCK - in_tail : 0;
    if (head > len)
        head = len;
    size_t n_blocks = (len - head) / SL_SHA256_BLOCK;
    size_t rest = (len - head) % SL_SHA256_BLOCK;
    if (head)
        cross_part(c, way, data, head);
    if (n_blocks)
        cross_blocks(c, way, data + head, n_blocks);
    if (rest)
        cross_part(c, way, data + len - rest, rest);
}

/* ---- several passes ---- */

/* CTR is its own inverse. */
static int cross_openssl(struct sl_layer_cipher *c, uint8_t *data, size_t len, struct sl_error *err)
{
    int n;
    if (!EVP_EncryptUpdate(c->openssl, data, &n, data, (int)len) || (size_t)n != len)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in AES-256-CTR");
    return 0;
}

static int cross_slice(struct sl_layer_cipher *c, enum way way, uint8_t *data, size_t len,
                       struct sl_error *err)
{
    const struct sl_span bytes = {data, len};
    int r;
    if (way == DECRYPT) {
        r = sl_blob_sums_update(c->sums, bytes, err);
        return r < 0 ? r : cross_openssl(c, data, len, err);
    }
    r = cross_openssl(c, data, len, err);
    return r < 0 ? r : sl_blob_sums_update(c->sums, bytes, err);
}

static int cross_any(struct sl_layer_cipher *c, enum way way, uint8_t *data, size_t len,
                     struct sl_error *err)
{
    int r = 0;
    if (c->pair)
        cross(c, way, data, len);
    for (size_t at = 0; !c->pair && r == 0 && at < len; at += SLICE)
        r = cross_slice(c, way, data + at, len - at < SLICE ? len - at : SLICE, err);
    return r;
}

int sl_layer_cipher_decrypt(struct sl_layer_cipher *c, uint8_t *data, size_t len,
                            struct sl_error *err)
{
    return cross_any(c, DECRYPT, data, len, err);
}

int sl_layer_cipher_encrypt(struct sl_layer_cipher *c, uint8_t *data, size_t len,
                            struct sl_error *err)
{
    return cross_any(c, ENCRYPT, data, len, err);
}

/* ---- both ---- */

static int init_openssl(struct sl_layer_cipher *c, const struct sl_layer_key *key,
                        struct sl_error *err)
{
    c->openssl = EVP_CIPHER_CTX_new();
    if (!c->openssl || !EVP_EncryptInit_ex2(c->openssl, EVP_aes_256_ctr(), key->lek, key->nonce,
                                            /* params= */ NULL))
        return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "OpenSSL cannot set up AES-256-CTR");
    return 0;
}

static enum sl_blob_sums_kind sums_kind(enum sl_layer_cipher_kind kind)
{
    if (kind == SL_CIPHER_BEST)
        return SL_SUMS_BEST;
    return kind == SL_CIPHER_OPENSSL ? SL_SUMS_OPENSSL : SL_SUMS_FUSED;
}

int sl_layer_cipher_new(enum sl_layer_cipher_kind kind, enum sl_digest_alg alg,
                        const struct sl_layer_key *key, struct sl_layer_cipher **ret,
                        struct sl_error *err)
{
    bool has_aes = sl_aes256_ctr_is_supported();
    if (kind == SL_CIPHER_ONE_PASS && !has_aes)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "decryption in one pass needs a processor with AES and SHA extensions");
    SL_AUTO(sl_layer_cipher) c = sl_secret_alloc(sizeof(*c));
    if (!c)
        return sl_error_oom(err);
    int r = sl_blob_sums_new(sums_kind(kind), alg, key->lek, &c->sums, err);
    if (r < 0)
        return r;
    if (has_aes && (kind == SL_CIPHER_BEST || kind == SL_CIPHER_ONE_PASS))
        c->pair = sl_blob_sums_pair(c->sums);
    if (c->pair)
        sl_aes256_ctr_init(&c->ctr, key->lek, key->nonce);
    else
        r = init_openssl(c, key, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&c);
    return 0;
}

struct sl_layer_cipher *sl_layer_cipher_free(struct sl_layer_cipher *c)
{
    if (!c)
        return NULL;
    (void)sl_blob_sums_free(c->sums);
    EVP_CIPHER_CTX_free(c->openssl); /* wipes its key schedule */
    return sl_secret_release(c);
}

int sl_layer_cipher_final(struct sl_layer_cipher *c, struct sl_digest *ret_digest,
                          uint8_t ret_mac[SL_HMAC_SIZE], struct sl_error *err)
{
    return sl_blob_sums_final(c->sums, ret_digest, ret_mac, err);
}
