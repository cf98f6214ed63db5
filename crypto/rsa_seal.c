/* SPDX-License-Identifier: Apache-2.0 */
#include "rsa_seal.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

static int rsa_failed(struct sl_error *err)
{
    ERR_clear_error();
    return sl_error_set(err, SL_E_AUTH, EKEYREJECTED,
                        "the recipient's RSA key cannot encrypt a content key; it may be too "
                        "small");
}

static int seal(EVP_PKEY_CTX *ctx, struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    size_t len = 0;
    if (EVP_PKEY_encrypt(ctx, NULL, &len, text.data, text.len) != 1)
        return rsa_failed(err);
    SL_AUTO_DONE(sl_bytes) out = {.data = malloc(len + 1), .cap = len + 1};
    if (!out.data)
        return sl_error_oom(err);
    if (EVP_PKEY_encrypt(ctx, out.data, &len, text.data, text.len) != 1)
        return rsa_failed(err);
    out.len = len;
    out.data[len] = 0;
    *ret = out;
    out = (struct sl_bytes){0};
    return 0;
}

static EVP_PKEY_CTX *start(EVP_PKEY *key, int padding)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx || EVP_PKEY_encrypt_init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1)
        return NULL;
    return sl_steal(&ctx);
}

int sl_rsa_oaep_seal(EVP_PKEY *key, const char *digest, struct sl_span text, struct sl_bytes *ret,
                     struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = start(key, RSA_PKCS1_OAEP_PADDING);
    if (!ctx || EVP_PKEY_CTX_set_rsa_oaep_md_name(ctx, digest, NULL) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, digest, NULL) != 1)
        return rsa_failed(err);
    return seal(ctx, text, ret, err);
}

int sl_rsa_pkcs1_seal(EVP_PKEY *key, struct sl_span text, struct sl_bytes *ret,
                      struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = start(key, RSA_PKCS1_PADDING);
    return ctx ? seal(ctx, text, ret, err) : rsa_failed(err);
}
