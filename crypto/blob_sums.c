/* SPDX-License-Identifier: Apache-2.0 */
#include "blob_sums.h"

#include "sha256_pair.h"
#include "sluice/core/secret.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

struct sl_blob_sums {
    bool is_fused;
    /* Fused: HMAC's inner hash is the second chain. */
    struct sl_sha256_pair pair;
    uint8_t outer_pad[SL_SHA256_BLOCK];
    /* Two passes. */
    struct sl_hash *digest;
    EVP_MAC_CTX *mac;
};

/* RFC 2104: the key is shorter than a block and is padded with zeros. */
static void hmac_pad(const uint8_t key[SL_LEK_SIZE], uint8_t filler, uint8_t ret[SL_SHA256_BLOCK])
{
    memset(ret, filler, SL_SHA256_BLOCK);
    for (size_t i = 0; i < SL_LEK_SIZE; i++)
        ret[i] ^= key[i];
}

static void init_fused(struct sl_blob_sums *s, const uint8_t key[SL_LEK_SIZE])
{
    uint8_t inner_pad[SL_SHA256_BLOCK];
    hmac_pad(key, 0x36, inner_pad);
    hmac_pad(key, 0x5c, s->outer_pad);
    sl_sha256_pair_init(&s->pair, inner_pad);
    sl_wipe(inner_pad, sizeof(inner_pad));
    s->is_fused = true;
}

static int init_two_passes(struct sl_blob_sums *s, enum sl_digest_alg alg,
                           const uint8_t key[SL_LEK_SIZE], struct sl_error *err)
{
    char sha256[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    s->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (!s->mac || !EVP_MAC_init(s->mac, key, SL_LEK_SIZE, params))
        return sl_error_set(err, SL_E_SYSTEM, ENOMEM, "OpenSSL cannot set up HMAC-SHA-256");
    return sl_hash_new(alg, &s->digest, err);
}

int sl_blob_sums_new(enum sl_blob_sums_kind kind, enum sl_digest_alg alg,
                     const uint8_t key[SL_LEK_SIZE], struct sl_blob_sums **ret,
                     struct sl_error *err)
{
    bool can_fuse = alg == SL_SHA256 && sl_sha256_is_supported();
    if (kind == SL_SUMS_FUSED && !can_fuse)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "the fused hash needs SHA-256 and a processor with SHA extensions");
    SL_AUTO(sl_blob_sums) s = sl_secret_alloc(sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    if (can_fuse && kind != SL_SUMS_OPENSSL) {
        init_fused(s, key);
    } else {
        int r = init_two_passes(s, alg, key, err);
        if (r < 0)
            return r;
    }
    *ret = sl_steal(&s);
    return 0;
}

struct sl_blob_sums *sl_blob_sums_free(struct sl_blob_sums *s)
{
    if (!s)
        return NULL;
    EVP_MAC_CTX_free(s->mac);
    (void)sl_hash_free(s->digest);
    return sl_secret_release(s);
}

int sl_blob_sums_update(struct sl_blob_sums *s, struct sl_span bytes, struct sl_error *err)
{
    if (s->is_fused) {
        sl_sha256_pair_update(&s->pair, bytes);
        return 0;
    }
    sl_hash_update(s->digest, bytes);
    if (!EVP_MAC_update(s->mac, bytes.data, bytes.len))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in HMAC-SHA-256");
    return 0;
}

struct sl_sha256_pair *sl_blob_sums_pair(struct sl_blob_sums *s)
{
    return s->is_fused ? &s->pair : NULL;
}

static int final_fused(struct sl_blob_sums *s, struct sl_digest *ret_digest,
                       uint8_t ret_mac[SL_HMAC_SIZE], struct sl_error *err)
{
    uint8_t outer[SL_SHA256_BLOCK + SL_SHA256_SIZE];
    struct sl_digest digest = {.alg = SL_SHA256};
    memcpy(outer, s->outer_pad, SL_SHA256_BLOCK);
    sl_sha256_pair_final(&s->pair, digest.bytes, outer + SL_SHA256_BLOCK);
    int ok = EVP_Digest(outer, sizeof(outer), ret_mac, NULL, EVP_sha256(), NULL);
    sl_wipe(outer, sizeof(outer));
    if (!ok)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in SHA-256");
    *ret_digest = digest;
    return 0;
}

int sl_blob_sums_final(struct sl_blob_sums *s, struct sl_digest *ret_digest,
                       uint8_t ret_mac[SL_HMAC_SIZE], struct sl_error *err)
{
    if (s->is_fused)
        return final_fused(s, ret_digest, ret_mac, err);
    if (!EVP_MAC_final(s->mac, ret_mac, NULL, SL_HMAC_SIZE))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL failed in HMAC-SHA-256");
    sl_hash_final(s->digest, ret_digest);
    return 0;
}
