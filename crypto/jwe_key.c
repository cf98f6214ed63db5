/* SPDX-License-Identifier: Apache-2.0 */
#include "jwe_key.h"

#include "aes_open.h"
#include "aes_seal.h"
#include "jwk.h"
#include "rsa_open.h"
#include "rsa_seal.h"

#include <openssl/err.h>
#include <string.h>

struct sl_jwe_alg {
    const char *name;
    const char *oaep_digest; /* RSA-OAEP, else NULL */
    size_t kek_size;         /* ECDH-ES with AES key wrap, else 0 */
};

static const struct sl_jwe_alg algs[] = {
    {"RSA-OAEP", "SHA1", 0},      {"RSA-OAEP-256", "SHA256", 0}, {"ECDH-ES+A128KW", NULL, 16},
    {"ECDH-ES+A192KW", NULL, 24}, {"ECDH-ES+A256KW", NULL, 32},
};

enum {
    SHARED_MAX = 66, /* bytes of the x coordinate on P-521 */
    KEK_MAX = 32,    /* one round of SHA-256 is enough */
    KDF_INPUT_MAX = 128 * 1024,
};

const struct sl_jwe_alg *sl_jwe_alg_find(const char *alg)
{
    for (size_t i = 0; alg && i < sizeof(algs) / sizeof(algs[0]); i++)
        if (strcmp(algs[i].name, alg) == 0)
            return &algs[i];
    return NULL;
}

const struct sl_jwe_alg *sl_jwe_alg_for(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "RSA") == 1  ? sl_jwe_alg_find("RSA-OAEP")
           : EVP_PKEY_is_a(key, "EC") == 1 ? sl_jwe_alg_find("ECDH-ES+A256KW")
                                           : NULL;
}

const char *sl_jwe_alg_name(const struct sl_jwe_alg *alg)
{
    return alg->name;
}

bool sl_jwe_alg_fits(const struct sl_jwe_alg *alg, const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, alg->oaep_digest ? "RSA" : "EC") == 1;
}

/* Header parameters that go into the agreement; mostly there are none. */
struct party_info {
    const struct sl_json *apu, *apv;
};

/* A 32-bit big-endian number. */
static int append_u32(struct sl_bytes *b, size_t n, struct sl_error *err)
{
    const uint8_t be[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    return sl_bytes_append(b, (struct sl_span){be, sizeof(be)}, KDF_INPUT_MAX, err);
}

static int append_sized(struct sl_bytes *b, struct sl_span data, struct sl_error *err)
{
    int r = append_u32(b, data.len, err);
    return r < 0 ? r : sl_bytes_append(b, data, KDF_INPUT_MAX, err);
}

/* apu and apv are optional and base64url; absent means empty. */
static int append_party(struct sl_bytes *b, const struct sl_json *info, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) decoded = {0};
    if (sl_json_type(info) != SL_JSON_NULL && !sl_json_string(info))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWE: apu or apv is not a string");
    if (info) {
        int r = sl_base64url_decode(sl_span_of(sl_json_string(info)), &decoded, err);
        if (r < 0)
            return sl_error_wrap(err, r, "JWE: apu or apv");
    }
    return append_sized(b, sl_bytes_span(&decoded), err);
}

/* What Concat KDF hashes (RFC 7518 section 4.6.2): round, Z, AlgorithmID, PartyUInfo,
 * PartyVInfo, SuppPubInfo. */
static int kdf_input(const struct sl_jwe_alg *alg, const struct party_info *info,
                     struct sl_span shared, struct sl_bytes *ret, struct sl_error *err)
{
    int r = append_u32(ret, /* round */ 1, err);
    if (r == 0)
        r = sl_bytes_append(ret, shared, KDF_INPUT_MAX, err);
    if (r == 0)
        r = append_sized(ret, sl_span_of(alg->name), err);
    if (r == 0)
        r = append_party(ret, info->apu, err);
    if (r == 0)
        r = append_party(ret, info->apv, err);
    if (r == 0)
        r = append_u32(ret, alg->kek_size * 8, err);
    return r;
}

/* Z, padded on the left to the size of the field, as OpenSSL gives it. peer must be a point on
 * the curve of key: anything else leaks the key bit by bit. */
static int derive(EVP_PKEY *key, EVP_PKEY *peer, uint8_t *shared, size_t *len, struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx)
        return sl_error_oom(err);
    if (EVP_PKEY_parameters_eq(key, peer) != 1 || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer_ex(ctx, peer, /* validate= */ 1) != 1 ||
        EVP_PKEY_derive(ctx, shared, len) != 1)
        return sl_open_failed(err);
    return 0;
}

/* One side has the private part of key, the other that of peer. */
static int agree_on_kek(const struct sl_jwe_alg *alg, EVP_PKEY *key, EVP_PKEY *peer,
                        const struct party_info *info, uint8_t ret[KEK_MAX], struct sl_error *err)
{
    uint8_t shared[SHARED_MAX];
    size_t len = sizeof(shared);
    struct sl_bytes input = {0};
    int r = derive(key, peer, shared, &len, err);
    if (r == 0)
        r = kdf_input(alg, info, (struct sl_span){shared, len}, &input, err);
    if (r == 0 && !EVP_Digest(input.data, input.len, ret, NULL, EVP_sha256(), NULL))
        r = sl_error_oom(err);
    sl_bytes_wipe(&input);
    sl_wipe(shared, sizeof(shared));
    return r;
}

static int derive_kek(const struct sl_jwe_alg *alg, const struct sl_jwe *jwe,
                      const struct sl_jwe_recipient *recipient, EVP_PKEY *key, uint8_t ret[KEK_MAX],
                      struct sl_error *err)
{
    SL_AUTO(evp_pkey_st) epk = NULL;
    const struct party_info info = {.apu = sl_jwe_param(jwe, recipient, "apu"),
                                    .apv = sl_jwe_param(jwe, recipient, "apv")};
    int r = sl_jwk_parse(sl_jwe_param(jwe, recipient, "epk"), SL_JWK_PUBLIC, &epk, err);
    if (r < 0)
        return sl_error_wrap(err, r, "JWE: epk");
    return agree_on_kek(alg, key, epk, &info, ret, err);
}

int sl_jwe_alg_open(const struct sl_jwe_alg *alg, const struct sl_jwe *jwe,
                    const struct sl_jwe_recipient *recipient, EVP_PKEY *key, struct sl_bytes *ret,
                    struct sl_error *err)
{
    struct sl_span wrapped = sl_bytes_span(&recipient->encrypted_key);
    if (alg->oaep_digest)
        return sl_rsa_oaep_open(key, alg->oaep_digest, alg->oaep_digest, wrapped, ret, err);
    uint8_t kek[KEK_MAX];
    int r = derive_kek(alg, jwe, recipient, key, kek, err);
    if (r == 0)
        r = sl_aes_unwrap_key((struct sl_span){kek, alg->kek_size}, wrapped, ret, err);
    sl_wipe(kek, sizeof(kek));
    return r;
}

/* A fresh key on the recipient's curve. */
static EVP_PKEY *make_ephemeral(EVP_PKEY *key)
{
    EVP_PKEY *epk = NULL;
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (ctx && EVP_PKEY_keygen_init(ctx) == 1)
        (void)EVP_PKEY_keygen(ctx, &epk);
    return epk;
}

static int seal_ecdh(const struct sl_jwe_alg *alg, EVP_PKEY *key, EVP_PKEY *epk, struct sl_span cek,
                     struct sl_bytes *ret, struct sl_error *err)
{
    uint8_t kek[KEK_MAX];
    const struct party_info nothing = {0};
    int r = agree_on_kek(alg, epk, key, &nothing, kek, NULL);
    if (r == 0)
        r = sl_aes_wrap_key((struct sl_span){kek, alg->kek_size}, cek, ret, err);
    else if (r == -ENOMEM)
        r = sl_error_oom(err);
    else
        r = sl_error_set(err, SL_E_AUTH, EKEYREJECTED, "the recipient's EC key is not usable");
    sl_wipe(kek, sizeof(kek));
    return r;
}

int sl_jwe_alg_seal(const struct sl_jwe_alg *alg, EVP_PKEY *key, struct sl_span cek,
                    EVP_PKEY **ret_epk, struct sl_bytes *ret, struct sl_error *err)
{
    if (alg->oaep_digest) {
        *ret_epk = NULL;
        return sl_rsa_oaep_seal(key, alg->oaep_digest, cek, ret, err);
    }
    SL_AUTO(evp_pkey_st) epk = make_ephemeral(key);
    if (!epk) {
        ERR_clear_error();
        return sl_error_oom(err);
    }
    int r = seal_ecdh(alg, key, epk, cek, ret, err);
    if (r == 0)
        *ret_epk = sl_steal(&epk);
    return r;
}
