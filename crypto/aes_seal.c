/* SPDX-License-Identifier: Apache-2.0 */
#include "aes_seal.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdlib.h>

enum {
    BLOCK_SIZE = 16,
    TEXT_MAX = 256 * 1024, /* of anything that wraps a key; keeps lengths far inside an int */
};

static int openssl_failed(struct sl_error *err, const char *what)
{
    ERR_clear_error();
    return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in %s", what);
}

static const EVP_CIPHER *gcm_of(size_t key_size)
{
    return key_size == 16 ? EVP_aes_128_gcm() : key_size == 32 ? EVP_aes_256_gcm() : NULL;
}

static const EVP_CIPHER *wrap_of(size_t key_size)
{
    switch (key_size) {
    case 16:
        return EVP_aes_128_wrap();
    case 24:
        return EVP_aes_192_wrap();
    case 32:
        return EVP_aes_256_wrap();
    default:
        return NULL;
    }
}

/* The whole text in one go. Leaves room for a tag behind it. iv is NULL for key wrap. */
static int seal(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const uint8_t *key,
                const uint8_t *iv, struct sl_span aad, struct sl_span text, struct sl_bytes *ret,
                struct sl_error *err)
{
    size_t room = text.len + (size_t)2 * BLOCK_SIZE + 1;
    if (text.len > TEXT_MAX || aad.len > TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "text to be wrapped exceeds %d bytes",
                            TEXT_MAX);
    SL_AUTO_DONE(sl_bytes) out = {.data = malloc(room), .cap = room};
    int n = 0;
    int tail = 0;
    if (!out.data)
        return sl_error_oom(err);
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_EncryptInit_ex(ctx, cipher, NULL, key, iv) != 1 ||
        (aad.len && EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) != 1) ||
        EVP_EncryptUpdate(ctx, out.data, &n, text.data, (int)text.len) != 1 ||
        EVP_EncryptFinal_ex(ctx, out.data + n, &tail) != 1)
        return openssl_failed(err, "AES");
    out.len = (size_t)n + (size_t)tail;
    out.data[out.len] = 0;
    *ret = out;
    out = (struct sl_bytes){0};
    return 0;
}

static int bad_size(struct sl_error *err, struct sl_span key, struct sl_span iv)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "key of %zu bytes or IV of %zu bytes does not fit the cipher", key.len,
                        iv.len);
}

int sl_aes_gcm_seal(struct sl_span key, struct sl_span iv, struct sl_span aad, struct sl_span text,
                    struct sl_bytes *ret, struct sl_error *err)
{
    const EVP_CIPHER *cipher = gcm_of(key.len);
    if (!cipher || iv.len != SL_GCM_IV_SIZE)
        return bad_size(err, key, iv);
    SL_AUTO(evp_cipher_ctx_st) ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_bytes) out = {0};
    uint8_t tag[SL_GCM_TAG_SIZE];
    int r = seal(ctx, cipher, key.data, iv.data, aad, text, &out, err);
    if (r == 0 && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof(tag), tag) != 1)
        r = openssl_failed(err, "AES-GCM");
    if (r == 0)
        r = sl_bytes_append(&out, (struct sl_span){tag, sizeof(tag)}, out.cap, err);
    if (r < 0)
        return r;
    *ret = out;
    out = (struct sl_bytes){0};
    return 0;
}

int sl_aes_ctr_seal(struct sl_span key, struct sl_span iv, struct sl_span text,
                    struct sl_bytes *ret, struct sl_error *err)
{
    if (key.len != 32 || iv.len != SL_CTR_IV_SIZE)
        return bad_size(err, key, iv);
    SL_AUTO(evp_cipher_ctx_st) ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return sl_error_oom(err);
    return seal(ctx, EVP_aes_256_ctr(), key.data, iv.data, (struct sl_span){0}, text, ret, err);
}

int sl_aes_wrap_key(struct sl_span kek, struct sl_span key, struct sl_bytes *ret,
                    struct sl_error *err)
{
    const EVP_CIPHER *cipher = wrap_of(kek.len);
    if (!cipher || key.len < 16 || key.len % 8 != 0)
        return bad_size(err, kek, (struct sl_span){0});
    SL_AUTO(evp_cipher_ctx_st) ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return sl_error_oom(err);
    return seal(ctx, cipher, kek.data, /* iv= */ NULL, (struct sl_span){0}, key, ret, err);
}

int sl_random_key(uint8_t *ret, size_t size, struct sl_error *err)
{
    return RAND_priv_bytes(ret, (int)size) == 1 ? 0 : openssl_failed(err, "making a key");
}

int sl_random_iv(uint8_t *ret, size_t size, struct sl_error *err)
{
    return RAND_bytes(ret, (int)size) == 1 ? 0 : openssl_failed(err, "making an IV");
}
