/* SPDX-License-Identifier: Apache-2.0 */
#include "openssl_rival.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

enum { GCM_TAG_SIZE = 16, KEY_SIZE = 32, SUM_SIZE = 32 };

static int result(int ok)
{
    return ok == 1 ? 0 : -EIO;
}

int openssl_rival_init(struct openssl_rival *o, struct sl_error *err)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    *o = (struct openssl_rival){
        .digest = EVP_MD_CTX_new(),
        .hmac = hmac ? EVP_MAC_CTX_new(hmac) : NULL,
        .ctr = EVP_CIPHER_CTX_new(),
        .gcm = EVP_CIPHER_CTX_new(),
    };
    EVP_MAC_free(hmac);
    if (o->digest && o->hmac && o->ctr && o->gcm &&
        EVP_DigestInit_ex(o->digest, EVP_sha256(), NULL) &&
        EVP_DecryptInit_ex(o->ctr, EVP_aes_256_ctr(), NULL, NULL, NULL) &&
        EVP_DecryptInit_ex(o->gcm, EVP_aes_256_gcm(), NULL, NULL, NULL))
        return 0;
    openssl_rival_done(o);
    return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "OpenSSL cannot set up its contexts");
}

void openssl_rival_done(struct openssl_rival *o)
{
    EVP_MD_CTX_free(o->digest);
    EVP_MAC_CTX_free(o->hmac);
    EVP_CIPHER_CTX_free(o->ctr);
    EVP_CIPHER_CTX_free(o->gcm);
    *o = (struct openssl_rival){0};
}

int openssl_rival_digest_begin(struct openssl_rival *o)
{
    return result(EVP_DigestInit_ex(o->digest, NULL, NULL));
}

int openssl_rival_digest(struct openssl_rival *o, struct sl_span bytes)
{
    return result(EVP_DigestUpdate(o->digest, bytes.data, bytes.len));
}

int openssl_rival_digest_end(struct openssl_rival *o, uint8_t ret[SUM_SIZE])
{
    return result(EVP_DigestFinal_ex(o->digest, ret, NULL));
}

int openssl_rival_hmac_begin(struct openssl_rival *o, const uint8_t key[KEY_SIZE])
{
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    return result(EVP_MAC_init(o->hmac, key, KEY_SIZE, params));
}

int openssl_rival_hmac(struct openssl_rival *o, struct sl_span bytes)
{
    return result(EVP_MAC_update(o->hmac, bytes.data, bytes.len));
}

int openssl_rival_hmac_end(struct openssl_rival *o, uint8_t ret[SUM_SIZE])
{
    size_t len;
    return result(EVP_MAC_final(o->hmac, ret, &len, SUM_SIZE));
}

int openssl_rival_ctr_begin(struct openssl_rival *o, const uint8_t key[KEY_SIZE],
                            const uint8_t iv[16])
{
    return result(EVP_DecryptInit_ex(o->ctr, NULL, NULL, key, iv));
}

int openssl_rival_ctr(struct openssl_rival *o, struct sl_span bytes, uint8_t *to)
{
    enum { CALL_MAX = 1 << 30 }; /* EVP counts in int */
    int n, r = 0;
    for (size_t at = 0; r == 0 && at < bytes.len; at += CALL_MAX) {
        size_t left = bytes.len - at;
        r = result(EVP_DecryptUpdate(o->ctr, to + at, &n, bytes.data + at,
                                     left < CALL_MAX ? (int)left : CALL_MAX));
    }
    return r;
}

int openssl_rival_gcm_open(struct openssl_rival *o, const uint8_t key[KEY_SIZE],
                           const uint8_t iv[12], struct sl_span text, uint8_t *to)
{
    int n, len = (int)text.len - GCM_TAG_SIZE;
    return result(EVP_DecryptInit_ex(o->gcm, NULL, NULL, key, iv) == 1 &&
                  EVP_CIPHER_CTX_ctrl(o->gcm, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_SIZE,
                                      (void *)(text.data + len)) == 1 && /* OpenSSL only reads it */
                  EVP_DecryptUpdate(o->gcm, to, &n, text.data, len) == 1 &&
                  EVP_DecryptFinal_ex(o->gcm, to + n, &n) == 1);
}
