/* SPDX-License-Identifier: Apache-2.0 */
#include "jwk.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <string.h>

enum { INTEGER_MAX = 2048 }; /* bytes: RSA of 16384 bits */

/* One member and the OpenSSL parameter it becomes. */
struct field {
    const char *member;
    const char *param;
    bool optional;
};

static const struct field rsa_public[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N, false},
    {"e", OSSL_PKEY_PARAM_RSA_E, false},
};
/* RFC 7518 section 6.3.2: the factors may all be absent. */
static const struct field rsa_private[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N, false},         {"e", OSSL_PKEY_PARAM_RSA_E, false},
    {"d", OSSL_PKEY_PARAM_RSA_D, false},         {"p", OSSL_PKEY_PARAM_RSA_FACTOR1, true},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2, true},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, true},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, true}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, true},
};
enum { FIELDS_MAX = sizeof(rsa_private) / sizeof(rsa_private[0]) };

static const struct curve {
    const char *crv;
    const char *group;
    size_t size; /* bytes of a coordinate */
} curves[] = {
    {"P-256", "prime256v1", 32},
    {"P-384", "secp384r1", 48},
    {"P-521", "secp521r1", 66},
};

static int malformed(struct sl_error *err, const char *what)
{
    ERR_clear_error();
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWK: %s", what);
}

/* Base64url into a buffer that is wiped; the message must not quote it. */
static int decode_member(const struct sl_json *jwk, const char *name, struct sl_bytes *ret,
                         struct sl_error *err)
{
    const char *text = sl_json_string(sl_json_get(jwk, name));
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWK: no %s", name);
    int r = sl_base64url_decode(sl_span_of(text), ret, NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || ret->len == 0 || ret->len > INTEGER_MAX)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "JWK: malformed %s", name);
    return 0;
}

static int build(const char *type, int selection, OSSL_PARAM_BLD *bld, EVP_PKEY **ret,
                 struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY *key = NULL;
    bool ok = ctx && params && EVP_PKEY_fromdata_init(ctx) == 1 &&
              EVP_PKEY_fromdata(ctx, &key, selection, params) == 1;
    OSSL_PARAM_free(params);
    if (!ok)
        return malformed(err, "not a valid key");
    *ret = key;
    return 0;
}

static int push_integer(OSSL_PARAM_BLD *bld, const struct sl_json *jwk, const struct field *field,
                        BIGNUM **ret_bn, struct sl_error *err)
{
    if (field->optional && !sl_json_get(jwk, field->member))
        return 0;
    struct sl_bytes bytes = {0};
    int r = decode_member(jwk, field->member, &bytes, err);
    if (r == 0) {
        /* Secure allocation makes the builder keep it in memory that is wiped. */
        *ret_bn = BN_secure_new();
        if (!*ret_bn || !BN_bin2bn(bytes.data, (int)bytes.len, *ret_bn) ||
            OSSL_PARAM_BLD_push_BN(bld, field->param, *ret_bn) != 1)
            r = sl_error_oom(err);
    }
    sl_bytes_wipe(&bytes);
    return r;
}

static int parse_rsa(const struct sl_json *jwk, enum sl_jwk_part part, EVP_PKEY **ret,
                     struct sl_error *err)
{
    bool is_private = part == SL_JWK_PRIVATE;
    const struct field *fields = is_private ? rsa_private : rsa_public;
    size_t n = is_private ? FIELDS_MAX : sizeof(rsa_public) / sizeof(rsa_public[0]);
    SL_AUTO(ossl_param_bld_st) bld = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[FIELDS_MAX] = {0};
    int r = bld ? 0 : sl_error_oom(err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = push_integer(bld, jwk, &fields[i], &numbers[i], err);
    if (r == 0)
        r = build("RSA", is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, bld, ret, err);
    for (size_t i = 0; i < n; i++)
        BN_clear_free(numbers[i]);
    return r;
}

static const struct curve *find_curve(const char *crv)
{
    for (size_t i = 0; crv && i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(curves[i].crv, crv) == 0)
            return &curves[i];
    return NULL;
}

/* 04 x y; both coordinates have exactly the size of the field. */
static int read_point(const struct sl_json *jwk, size_t size, struct sl_bytes *ret,
                      struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) x = {0};
    SL_AUTO_DONE(sl_bytes) y = {0};
    int r = decode_member(jwk, "x", &x, err);
    if (r == 0)
        r = decode_member(jwk, "y", &y, err);
    if (r < 0)
        return r;
    if (x.len != size || y.len != size)
        return malformed(err, "a coordinate has the wrong size");
    r = sl_bytes_append(ret, (struct sl_span){(const uint8_t *)"\4", 1}, INTEGER_MAX, err);
    if (r == 0)
        r = sl_bytes_append(ret, sl_bytes_span(&x), INTEGER_MAX, err);
    if (r == 0)
        r = sl_bytes_append(ret, sl_bytes_span(&y), INTEGER_MAX, err);
    return r;
}

static int check_on_curve(EVP_PKEY *key, struct sl_error *err)
{
    SL_AUTO(evp_pkey_ctx_st) ctx = EVP_PKEY_CTX_new(key, NULL);
    if (!ctx || EVP_PKEY_public_check(ctx) != 1)
        return malformed(err, "the point is not on the curve");
    return 0;
}

static int parse_ec(const struct sl_json *jwk, enum sl_jwk_part part, EVP_PKEY **ret,
                    struct sl_error *err)
{
    static const struct field scalar = {"d", OSSL_PKEY_PARAM_PRIV_KEY, false};
    bool is_private = part == SL_JWK_PRIVATE;
    const struct curve *curve = find_curve(sl_json_string(sl_json_get(jwk, "crv")));
    if (!curve)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "JWK: crv is not P-256, P-384 or P-521");
    SL_AUTO_DONE(sl_bytes) point = {0};
    SL_AUTO(ossl_param_bld_st) bld = OSSL_PARAM_BLD_new();
    SL_AUTO(bignum_st) d = NULL;
    SL_AUTO(evp_pkey_st) key = NULL;
    int r = bld ? read_point(jwk, curve->size, &point, err) : sl_error_oom(err);
    if (r == 0 && is_private)
        r = push_integer(bld, jwk, &scalar, &d, err);
    if (r < 0)
        return r;
    if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) != 1)
        return sl_error_oom(err);
    r = build("EC", is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, bld, &key, err);
    if (r == 0)
        r = check_on_curve(key, err);
    if (r == 0)
        *ret = sl_steal(&key);
    return r;
}

int sl_jwk_parse(const struct sl_json *jwk, enum sl_jwk_part part, EVP_PKEY **ret,
                 struct sl_error *err)
{
    const char *kty = sl_json_string(sl_json_get(jwk, "kty"));
    if (!kty)
        return malformed(err, "no kty");
    if (strcmp(kty, "RSA") == 0)
        return parse_rsa(jwk, part, ret, err);
    if (strcmp(kty, "EC") == 0)
        return parse_ec(jwk, part, ret, err);
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "JWK: key type %.20s is not supported",
                        kty);
}

static const struct curve *curve_of(const EVP_PKEY *key)
{
    char group[32] = "";
    (void)EVP_PKEY_get_group_name(key, group, sizeof(group), NULL);
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(curves[i].group, group) == 0)
            return &curves[i];
    return NULL;
}

/* Padded on the left to the size of the field. */
static int put_coordinate(struct sl_json_writer *w, const char *name, const EVP_PKEY *key,
                          const char *param, size_t size, struct sl_error *err)
{
    enum { COORDINATE_MAX = 66 };
    uint8_t bytes[COORDINATE_MAX];
    SL_AUTO(bignum_st) number = NULL;
    if (EVP_PKEY_get_bn_param(key, param, &number) != 1 ||
        BN_bn2binpad(number, bytes, (int)size) != (int)size)
        return malformed(err, "not a valid key");
    SL_AUTO_FREE char *text = sl_base64url_encode((struct sl_span){bytes, size});
    if (!text)
        return sl_error_oom(err);
    sl_json_put_string(w, name, text);
    return 0;
}

int sl_jwk_put_ec(struct sl_json_writer *w, const EVP_PKEY *key, struct sl_error *err)
{
    const struct curve *curve = curve_of(key);
    if (!curve)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP,
                            "an EC key on another curve than P-256, P-384 and P-521");
    sl_json_put_string(w, "kty", "EC");
    sl_json_put_string(w, "crv", curve->crv);
    int r = put_coordinate(w, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, curve->size, err);
    if (r == 0)
        r = put_coordinate(w, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, curve->size, err);
    return r;
}
