/* SPDX-License-Identifier: Apache-2.0 */
#include "pem_block.h"
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    SPKI_MAX = 16 * 1024,
    RSA_BITS_MIN = 2048,
    RSA_BITS_MAX = 8192, /* a sum takes milliseconds */
    RSA_EXPONENT_BITS_MAX = 64,
    GROUP_NAME_MAX = 64,
};

/* Which keys there are, and the digests each may sign with, in the order they are tried. */
static const struct key_kind {
    const char *type;
    const char *group; /* of EC */
    const char *digests[2];
} key_kinds[] = {
    {"EC", "prime256v1", {"SHA256", NULL}},    {"EC", "secp384r1", {"SHA256", "SHA384"}},
    {"EC", "secp521r1", {"SHA256", "SHA512"}}, {"RSA", NULL, {"SHA256", NULL}},
    {"ED25519", NULL, {NULL, NULL}},
};

static const struct key_kind *kind_of(const EVP_PKEY *key)
{
    char group[GROUP_NAME_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < sizeof(key_kinds) / sizeof(key_kinds[0]); i++) {
        const struct key_kind *kind = &key_kinds[i];
        if (EVP_PKEY_is_a(key, kind->type) != 1)
            continue;
        if (!kind->group)
            return kind;
        if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1 &&
            strcmp(group, kind->group) == 0)
            return kind;
    }
    return NULL;
}

/* A curve that is spelled out may have a base point of its maker's choice (CVE-2020-0601). */
static bool is_explicit_curve(const EVP_PKEY *key)
{
    int is_explicit = 0;
    return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                  &is_explicit) == 1 &&
           is_explicit != 0;
}

static int check_rsa(const EVP_PKEY *key, struct sl_error *err)
{
    int bits = EVP_PKEY_get_bits(key);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "an RSA key of %d bits; %d to %d are allowed", bits, RSA_BITS_MIN,
                            RSA_BITS_MAX);
    BIGNUM *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
              !BN_is_one(e) && BN_num_bits(e) <= RSA_EXPONENT_BITS_MAX;
    BN_free(e);
    return ok ? 0
              : sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "an RSA key with a useless exponent");
}

static int check_kind(const EVP_PKEY *key, struct sl_error *err)
{
    const struct key_kind *kind = kind_of(key);
    const char *name = EVP_PKEY_get0_type_name(key);
    if (!kind || is_explicit_curve(key))
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "a key of kind %s; P-256, P-384, P-521, RSA from %d bits and Ed25519 "
                            "are allowed",
                            name ? name : "unknown", RSA_BITS_MIN);
    return strcmp(kind->type, "RSA") == 0 ? check_rsa(key, err) : 0;
}

int sl_public_key_from_evp(EVP_PKEY *key, struct sl_public_key *ret, struct sl_error *err)
{
    int r = check_kind(key, err);
    if (r < 0)
        return r;
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    if (len <= 0) {
        ERR_clear_error();
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a key that cannot be written as DER");
    }
    (void)SHA256(der, (size_t)len, ret->spki_sha256);
    OPENSSL_free(der);
    (void)EVP_PKEY_up_ref(key);
    ret->key = key;
    return 0;
}

/* What is hashed and compared is what was read: other writings of the same key are refused. */
static bool is_canonical(EVP_PKEY *key, struct sl_span spki)
{
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    bool same = len > 0 && (size_t)len == spki.len && memcmp(der, spki.data, spki.len) == 0;
    OPENSSL_free(der);
    return same;
}

int sl_public_key_parse_der(struct sl_span spki, struct sl_public_key *ret, struct sl_error *err)
{
    if (spki.len > SPKI_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a public key of more than %d bytes", SPKI_MAX);
    const uint8_t *p = spki.data;
    SL_AUTO(evp_pkey_st) key = spki.len ? d2i_PUBKEY(NULL, &p, (long)spki.len) : NULL;
    bool whole = key && p == spki.data + spki.len && is_canonical(key, spki);
    ERR_clear_error();
    if (!whole)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "not a public key (DER SubjectPublicKeyInfo)");
    return sl_public_key_from_evp(key, ret, err);
}

int sl_public_key_parse_pem(struct sl_span pem, struct sl_public_key *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) der = {0};
    int r = sl_pem_read_one(pem, "PUBLIC KEY", &der, err);
    return r < 0 ? r : sl_public_key_parse_der(sl_bytes_span(&der), ret, err);
}

void sl_public_key_done(struct sl_public_key *key)
{
    EVP_PKEY_free(key->key);
    key->key = NULL;
}

/* digest: NULL for Ed25519. padding: 0 except for RSA. */
static bool verify_with(EVP_PKEY *key, const char *digest, int padding, struct sl_span data,
                        struct sl_span signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL; /* belongs to ctx */
    bool good = ctx && EVP_DigestVerifyInit_ex(ctx, &params, digest, NULL, NULL, key, NULL) == 1;
    if (good && padding)
        good = EVP_PKEY_CTX_set_rsa_padding(params, padding) == 1;
    if (good && padding == RSA_PKCS1_PSS_PADDING)
        good = EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST) == 1;
    /* Less than 0 is an error, and no more than 0 a good signature. */
    good = good && EVP_DigestVerify(ctx, signature.data, signature.len, data.data, data.len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return good;
}

/* RFC 8032, section 5.1, which OpenSSL has only from 3.2 on. */
static bool verify_ed25519ph(const EVP_PKEY *key, struct sl_span data, struct sl_span signature)
{
    uint8_t raw[crypto_sign_PUBLICKEYBYTES];
    size_t len = sizeof(raw);
    crypto_sign_state state;
    return sodium_init() >= 0 && signature.len == crypto_sign_BYTES &&
           EVP_PKEY_get_raw_public_key(key, raw, &len) == 1 && len == sizeof(raw) &&
           crypto_sign_init(&state) == 0 && crypto_sign_update(&state, data.data, data.len) == 0 &&
           crypto_sign_final_verify(&state, signature.data, raw) == 0;
}

bool sl_public_key_verify(const struct sl_public_key *key, struct sl_span data,
                          struct sl_span signature, bool allow_ed25519ph)
{
    const struct key_kind *kind = key->key ? kind_of(key->key) : NULL;
    if (!kind || !signature.len)
        return false;
    if (strcmp(kind->type, "ED25519") == 0)
        return verify_with(key->key, NULL, 0, data, signature) ||
               (allow_ed25519ph && verify_ed25519ph(key->key, data, signature));
    if (strcmp(kind->type, "RSA") == 0)
        return verify_with(key->key, "SHA256", RSA_PKCS1_PADDING, data, signature) ||
               verify_with(key->key, "SHA256", RSA_PKCS1_PSS_PADDING, data, signature);
    for (size_t i = 0; i < 2 && kind->digests[i]; i++)
        if (verify_with(key->key, kind->digests[i], 0, data, signature))
            return true;
    return false;
}

void sl_public_key_describe(const struct sl_public_key *key, char out[SL_FINDING_TEXT_MAX])
{
    char hex[2 * sizeof(key->spki_sha256) + 1];
    sl_hex_format((struct sl_span){key->spki_sha256, sizeof(key->spki_sha256)}, hex);
    (void)snprintf(out, SL_FINDING_TEXT_MAX, "sha256:%s", hex);
}
