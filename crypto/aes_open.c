/* SPDX-License-Identifier: Apache-2.0 */
#include "aes_open.h"

#include "sluice/core/openssl_auto.h"

#include <stdlib.h>

enum {
    GCM_IV_SIZE = 12,
    GCM_TAG_SIZE = 16,
    BLOCK_SIZE = 16,
    TEXT_MAX = 256 * 1024, /* of anything that wraps a key; keeps lengths far inside an int */
};

enum aes_mode { GCM, CBC, CTR, WRAP, N_MODES };

static const EVP_CIPHER *find_cipher(enum aes_mode mode, size_t key_size)
{
    typedef const EVP_CIPHER *cipher_fn(void);
    static cipher_fn *const ciphers[N_MODES][3] = {
        [GCM] = {EVP_aes_128_gcm, EVP_aes_192_gcm, EVP_aes_256_gcm},
        [CBC] = {EVP_aes_128_cbc, EVP_aes_192_cbc, EVP_aes_256_cbc},
        [CTR] = {EVP_aes_128_ctr, EVP_aes_192_ctr, EVP_aes_256_ctr},
        [WRAP] = {EVP_aes_128_wrap, EVP_aes_192_wrap, EVP_aes_256_wrap},
    };
    if (key_size != 16 && key_size != 24 && key_size != 32)
        return NULL;
    return ciphers[mode][key_size / 8 - 2]();
}

/* An initialised context and room for the result. */
static int start(enum aes_mode mode, struct sl_span key, struct sl_span iv, struct sl_span text,
                 EVP_CIPHER_CTX **ret_ctx, struct sl_bytes *ret, struct sl_error *err)
{
    const EVP_CIPHER *cipher = find_cipher(mode, key.len);
    if (!cipher || (size_t)EVP_CIPHER_get_iv_length(cipher) != (mode == WRAP ? 8 : iv.len))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "key of %zu bytes or IV of %zu bytes does not fit the cipher", key.len,
                            iv.len);
    if (text.len > TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "wrapped text exceeds %d bytes", TEXT_MAX);
    SL_AUTO(evp_cipher_ctx_st) ctx = EVP_CIPHER_CTX_new();
    uint8_t *room = malloc(text.len + BLOCK_SIZE + 1);
    if (!ctx || !room) {
        free(room);
        return sl_error_oom(err);
    }
    *ret = (struct sl_bytes){.data = room, .cap = text.len + BLOCK_SIZE + 1};
    if (mode == WRAP)
        EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_DecryptInit_ex(ctx, cipher, NULL, key.data, mode == WRAP ? NULL : iv.data) != 1) {
        sl_bytes_wipe(ret);
        ERR_clear_error();
        return sl_error_set(err, SL_E_SYSTEM, EIO, "AES is not available");
    }
    *ret_ctx = sl_steal(&ctx);
    return 0;
}

/* The whole text in one go. */
static int run(EVP_CIPHER_CTX *ctx, struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    int n = 0;
    int tail = 0;
    bool ok = text.len == 0 || EVP_DecryptUpdate(ctx, ret->data, &n, text.data, (int)text.len) > 0;
    ok = ok && EVP_DecryptFinal_ex(ctx, ret->data + n, &tail) > 0;
    if (!ok) {
        sl_bytes_wipe(ret);
        return sl_open_failed(err);
    }
    ret->len = (size_t)n + (size_t)tail;
    ret->data[ret->len] = 0;
    return 0;
}

static int open_with(enum aes_mode mode, struct sl_span key, struct sl_span iv, struct sl_span text,
                     struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(evp_cipher_ctx_st) ctx = NULL;
    struct sl_bytes out = {0};
    int r = start(mode, key, iv, text, &ctx, &out, err);
    if (r == 0)
        r = run(ctx, text, &out, err);
    if (r == 0)
        *ret = out;
    return r;
}

int sl_aes_gcm_open(struct sl_span key, struct sl_span iv, struct sl_span aad, struct sl_span text,
                    struct sl_span tag, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(evp_cipher_ctx_st) ctx = NULL;
    struct sl_bytes out = {0};
    if (tag.len != GCM_TAG_SIZE || iv.len != GCM_IV_SIZE || aad.len > TEXT_MAX)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "AES-GCM needs an IV of %d and a tag of %d bytes, not %zu and %zu",
                            GCM_IV_SIZE, GCM_TAG_SIZE, iv.len, tag.len);
    int r = start(GCM, key, iv, text, &ctx, &out, err);
    if (r < 0)
        return r;
    int n = 0;
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE, (void *)tag.data) != 1 ||
        (aad.len && EVP_DecryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len) != 1)) {
        sl_bytes_wipe(&out);
        return sl_open_failed(err);
    }
    r = run(ctx, text, &out, err);
    if (r == 0)
        *ret = out;
    return r;
}

int sl_aes_gcm_open_appended(struct sl_span key, struct sl_span iv, struct sl_span text,
                             struct sl_bytes *ret, struct sl_error *err)
{
    if (text.len < GCM_TAG_SIZE)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "wrapped text is shorter than its tag");
    size_t len = text.len - GCM_TAG_SIZE;
    struct sl_span tag = {text.data + len, GCM_TAG_SIZE};
    return sl_aes_gcm_open(key, iv, /* aad= */ (struct sl_span){0},
                           (struct sl_span){text.data, len}, tag, ret, err);
}

int sl_aes_cbc_open(struct sl_span key, struct sl_span iv, struct sl_span text,
                    struct sl_bytes *ret, struct sl_error *err)
{
    return open_with(CBC, key, iv, text, ret, err);
}

int sl_aes_ctr_open(struct sl_span key, struct sl_span iv, struct sl_span text,
                    struct sl_bytes *ret, struct sl_error *err)
{
    return open_with(CTR, key, iv, text, ret, err);
}

int sl_aes_unwrap_key(struct sl_span kek, struct sl_span wrapped, struct sl_bytes *ret,
                      struct sl_error *err)
{
    /* Other readers have crashed on an empty one. */
    if (wrapped.len < 24 || wrapped.len % 8 != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "a wrapped key of %zu bytes is not from AES key wrap", wrapped.len);
    return open_with(WRAP, kek, (struct sl_span){0}, wrapped, ret, err);
}
