/* SPDX-License-Identifier: Apache-2.0 */
#include "rsa_open.h"

#include "aes_open.h"

#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

static int decrypt(EVP_PKEY_CTX *ctx, struct sl_span text, struct sl_bytes *ret,
                   struct sl_error *err)
{
    size_t len = 0;
    if (EVP_PKEY_decrypt(ctx, NULL, &len, text.data, text.len) != 1)
        return sl_open_failed(err);
    struct sl_bytes out = {.data = malloc(len + 1), .cap = len + 1};
    if (!out.data)
        return sl_error_oom(err);
    if (EVP_PKEY_decrypt(ctx, out.data, &len, text.data, text.len) != 1) {
        sl_bytes_wipe(&out);
        return sl_open_failed(err);
    }
    out.len = len;
    out.data[len] = 0;
    *ret = out;
    return 0;
}

static EVP_PKEY_CTX *start(EVP_PKEY *key, int padding)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx || EVP_PKEY_decrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1)
        return NULL;
    return sl_steal(&ctx);
}

int sl_rsa_oaep_open(EVP_PKEY *key, const char *digest, const char *mgf_digest, struct sl_span text,
                     struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = start(key, RSA_PKCS1_OAEP_PADDING);
    if (!ctx || EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, digest, NULL) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, mgf_digest, NULL) != 1)
        return sl_open_failed(err);
    return decrypt(ctx, text, ret, err);
}

/* All ones if em = 00 02 PS 00 KEY with a PS of non-zero bytes, else zero; in constant time. */
static uint8_t padding_mask(const uint8_t *em, size_t len, size_t key_size)
{
    uint32_t bad = em[0] | (em[1] ^ 2u) | em[len - key_size - 1];
    for (size_t i = 2; i < len - key_size - 1; i++)
        bad |= (em[i] - 1u) >> 8 & 1; /* 1 only for a zero byte */
    return (uint8_t)((bad - 1u) >> 8);
}

int sl_rsa_pkcs1_open(EVP_PKEY *key, struct sl_span text, size_t key_size, struct sl_bytes *ret,
                      struct sl_error *err)
{
    size_t modulus = (size_t)EVP_PKEY_get_size(key);
    SL_AUTO(evp_pkey_ctx_st) ctx = start(key, RSA_NO_PADDING);
    if (!ctx || text.len != modulus || modulus < key_size + 11)
        return sl_open_failed(err);
    struct sl_bytes em = {0};
    int r = decrypt(ctx, text, &em, err);
    if (r < 0)
        return r;
    struct sl_bytes out = {.data = calloc(1, key_size + 1), .len = key_size, .cap = key_size + 1};
    if (!out.data || em.len != modulus || RAND_bytes(out.data, (int)key_size) != 1) {
        bool no_memory = !out.data;
        sl_bytes_wipe(&em);
        sl_bytes_wipe(&out);
        return no_memory ? sl_error_oom(err) : sl_open_failed(err);
    }
    uint8_t mask = padding_mask(em.data, em.len, key_size);
    const uint8_t *candidate = em.data + em.len - key_size;
    for (size_t i = 0; i < key_size; i++)
        out.data[i] = (uint8_t)((candidate[i] & mask) | (out.data[i] & ~mask));
    sl_bytes_wipe(&em);
    *ret = out;
    return 0;
}
