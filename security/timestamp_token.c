/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a signature existed: time-stamp responses of RFC 3161 over its bytes. The certificates a
 * token carries are hints; an authority is trusted by what the trusted root says: the chain must
 * hold at the time of the token, which must lie in the authority's own window.
 */
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum {
    RESPONSE_MAX = 64 * 1024, /* bytes; with a chain some five thousand */
    TSA_AUTH_LEVEL = 2,       /* 112 bits: no SHA-1, no RSA below 2048 */
};

SL_DEFINE_AUTO(TS_resp_st, TS_RESP_free)
SL_DEFINE_AUTO(x509_store_st, X509_STORE_free)
/* A stack whose certificates belong to others. */
SL_DEFINE_AUTO(stack_st_X509, sk_X509_free)

static int bad_token(struct sl_error *err, const char *why)
{
    ERR_clear_error();
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "timestamp: %s", why);
}

/* SHA-2 only, for the imprint and for the signature. */
static const EVP_MD *accepted_digest(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *oid;
    X509_ALGOR_get0(&oid, /* pptype= */ NULL, /* ppval= */ NULL, algorithm);
    switch (OBJ_obj2nid(oid)) {
    case NID_sha256:
        return EVP_sha256();
    case NID_sha384:
        return EVP_sha384();
    case NID_sha512:
        return EVP_sha512();
    default:
        return NULL;
    }
}

/* ---- what the token says ---- */

static int parse_response(struct sl_span der, TS_RESP **ret, struct sl_error *err)
{
    const uint8_t *p = der.data;
    if (der.len == 0 || der.len > RESPONSE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "timestamp: %zu bytes", der.len);
    SL_AUTO(TS_resp_st) response = d2i_TS_RESP(/* a= */ NULL, &p, (long)der.len);
    if (!response || p != der.data + der.len) {
        ERR_clear_error();
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "timestamp: not an RFC 3161 response");
    }
    /* RFC 3161 section 2.4.2: granted, or granted with modifications. */
    const ASN1_INTEGER *status = TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(response));
    int64_t value;
    if (ASN1_INTEGER_get_int64(&value, status) != 1 ||
        (value != TS_STATUS_GRANTED && value != TS_STATUS_GRANTED_WITH_MODS) ||
        !TS_RESP_get_token(response) || !TS_RESP_get_tst_info(response))
        return bad_token(err, "was not granted");
    *ret = sl_steal(&response);
    return 0;
}

static int check_imprint(TS_TST_INFO *info, struct sl_span signature, struct sl_error *err)
{
    TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint(info);
    const EVP_MD *md = accepted_digest(TS_MSG_IMPRINT_get_algo(imprint));
    const ASN1_OCTET_STRING *message = TS_MSG_IMPRINT_get_msg(imprint);
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (!md)
        return bad_token(err, "its hash is none of SHA-256, SHA-384 and SHA-512");
    if (EVP_Digest(signature.data, signature.len, sum, &len, md, /* impl= */ NULL) != 1)
        return sl_error_oom(err);
    if (ASN1_STRING_length(message) != (int)len ||
        memcmp(ASN1_STRING_get0_data(message), sum, len) != 0)
        return bad_token(err, "is of another signature");
    return 0;
}

static int read_time(TS_TST_INFO *info, int64_t *ret, struct sl_error *err)
{
    struct tm tm;
    const ASN1_GENERALIZEDTIME *at = TS_TST_INFO_get_time(info);
    if (!at || ASN1_TIME_to_tm(at, &tm) != 1)
        return bad_token(err, "has no readable time");
    time_t t = timegm(&tm);
    if (t <= 0)
        return bad_token(err, "has a time before 1970");
    *ret = t;
    return 0;
}

static int check_info(TS_TST_INFO *info, struct sl_span signature, int64_t *ret_time,
                      struct sl_error *err)
{
    if (TS_TST_INFO_get_version(info) != 1)
        return bad_token(err, "has an unknown version");
    for (int i = 0; i < TS_TST_INFO_get_ext_count(info); i++)
        if (X509_EXTENSION_get_critical(TS_TST_INFO_get_ext(info, i)))
            return bad_token(err, "has an unknown critical extension");
    int r = check_imprint(info, signature, err);
    return r < 0 ? r : read_time(info, ret_time, err);
}

/* The signature's own hash; OpenSSL would take SHA-1. */
static int check_signature_digest(PKCS7 *token, struct sl_error *err)
{
    STACK_OF(PKCS7_SIGNER_INFO) *signers = PKCS7_get_signer_info(token);
    X509_ALGOR *md = NULL;
    if (sk_PKCS7_SIGNER_INFO_num(signers) != 1)
        return bad_token(err, "has not exactly one signature");
    PKCS7_SIGNER_INFO_get0_algs(sk_PKCS7_SIGNER_INFO_value(signers, 0), /* pk= */ NULL, &md,
                                /* sig= */ NULL);
    return md && accepted_digest(md) ? 0 : bad_token(err, "is signed with an unsafe hash");
}

/* ---- who says it ---- */

static X509_STORE *store_at(X509 *anchor, int64_t at)
{
    SL_AUTO(x509_store_st) store = X509_STORE_new();
    if (!store || X509_STORE_add_cert(store, anchor) != 1)
        return NULL;
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
    X509_VERIFY_PARAM_set_time(param, (time_t)at);
    X509_VERIFY_PARAM_set_auth_level(param, TSA_AUTH_LEVEL);
    /* The anchor is what the trusted root says, self-signed or not. */
    if (X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        return NULL;
    return sl_steal(&store);
}

/* Where the trusted root names the authority's own certificate, no other of its CA will do. */
static bool is_pinned_to_other(const struct sl_trusted_chain *authority, X509 *signer)
{
    X509 *first = sk_X509_value(authority->certs, 0);
    return X509_check_ca(first) == 0 && X509_cmp(first, signer) != 0;
}

/* OpenSSL demands that the signer may do nothing but timestamping, and says so critically. */
static bool authority_signed(const struct sl_trusted_chain *authority, PKCS7 *token, int64_t at)
{
    int n = sk_X509_num(authority->certs);
    if (n < 1 || !sl_validity_has(&authority->valid, at))
        return false;
    SL_AUTO(x509_store_st) store = store_at(sk_X509_value(authority->certs, n - 1), at);
    SL_AUTO(stack_st_X509) hints = sk_X509_dup(authority->certs);
    SL_AUTO(x509_st) signer = NULL;
    return store && hints && TS_RESP_verify_signature(token, hints, store, &signer) == 1 &&
           signer && !is_pinned_to_other(authority, signer);
}

int sl_timestamp_check(const struct sl_sigstore_trust *trust, struct sl_span response,
                       struct sl_span signature, int64_t *ret_time, struct sl_error *err)
{
    SL_AUTO(TS_resp_st) parsed = NULL;
    int64_t at = 0;
    int r = parse_response(response, &parsed, err);
    if (r == 0)
        r = check_info(TS_RESP_get_tst_info(parsed), signature, &at, err);
    if (r == 0)
        r = check_signature_digest(TS_RESP_get_token(parsed), err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < trust->n_timestampers; i++)
        if (authority_signed(&trust->timestampers[i], TS_RESP_get_token(parsed), at)) {
            *ret_time = at;
            return 0;
        }
    return bad_token(err, "no trusted authority made it");
}
