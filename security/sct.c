/* SPDX-License-Identifier: Apache-2.0 */
/* Signed certificate timestamps that a certificate carries (RFC 6962, sections 3.2 and 3.3). */
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/sha.h>

#include <string.h>

enum {
    SCTS_MAX = 32,
    SIGNED_DATA_MAX = 256 * 1024,
    SCT_VERSION_1 = 0,
    LOG_ID_SIZE = 32,
    HASH_SHA256 = 4, /* RFC 5246, section 7.4.1.4.1 */
    SIGNATURE_RSA = 1,
    SIGNATURE_ECDSA = 3,
    MS_PER_SECOND = 1000,
};

struct sct {
    struct sl_span log_id;
    uint64_t timestamp; /* ms since 1970 */
    struct sl_span extensions;
    uint8_t hash, algorithm;
    struct sl_span signature;
};

/* ---- reading what TLS writes ---- */

static bool take(struct sl_span *from, size_t n, struct sl_span *ret)
{
    if (from->len < n)
        return false;
    *ret = (struct sl_span){from->data, n};
    from->data += n;
    from->len -= n;
    return true;
}

static bool take_number(struct sl_span *from, size_t n, uint64_t *ret)
{
    struct sl_span bytes;
    if (!take(from, n, &bytes))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++)
        value = value << 8 | bytes.data[i];
    *ret = value;
    return true;
}

static bool take_vector(struct sl_span *from, struct sl_span *ret)
{
    uint64_t len = 0;
    return take_number(from, 2, &len) && take(from, (size_t)len, ret);
}

/* False for other versions too. */
static bool parse_sct(struct sl_span bytes, struct sct *ret)
{
    uint64_t version = 0;
    uint64_t hash = 0;
    uint64_t algorithm = 0;
    bool ok = take_number(&bytes, 1, &version) && version == SCT_VERSION_1 &&
              take(&bytes, LOG_ID_SIZE, &ret->log_id) && take_number(&bytes, 8, &ret->timestamp) &&
              take_vector(&bytes, &ret->extensions) && take_number(&bytes, 1, &hash) &&
              take_number(&bytes, 1, &algorithm) && take_vector(&bytes, &ret->signature) &&
              bytes.len == 0;
    ret->hash = (uint8_t)hash;
    ret->algorithm = (uint8_t)algorithm;
    return ok;
}

/* ---- what a log has signed ---- */

static int append_number(struct sl_bytes *b, uint64_t value, size_t n, struct sl_error *err)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(value >> (8 * (n - 1 - i)));
    return sl_bytes_append(b, (struct sl_span){bytes, n}, SIGNED_DATA_MAX, err);
}

/* Whose key signed the certificate, and the certificate as it was before it had timestamps. */
struct precert {
    uint8_t issuer_key_hash[SHA256_DIGEST_LENGTH];
    struct sl_bytes tbs;
};

static int hash_issuer_key(X509 *issuer, struct precert *ret, struct sl_error *err)
{
    uint8_t *der = NULL;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &der);
    if (len <= 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the issuer's key cannot be written as DER");
    (void)SHA256(der, (size_t)len, ret->issuer_key_hash);
    OPENSSL_free(der);
    return 0;
}

static int make_precert(X509 *leaf, X509 *issuer, struct precert *ret, struct sl_error *err)
{
    int r = hash_issuer_key(issuer, ret, err);
    if (r < 0)
        return r;
    SL_AUTO(x509_st) copy = X509_dup(leaf);
    int at = copy ? X509_get_ext_by_NID(copy, NID_ct_precert_scts, -1) : -1;
    if (at < 0)
        return sl_error_oom(err);
    X509_EXTENSION_free(X509_delete_ext(copy, at));
    uint8_t *der = NULL;
    int len = i2d_re_X509_tbs(copy, &der);
    if (len <= 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the certificate cannot be written as DER");
    r = sl_bytes_append(&ret->tbs, (struct sl_span){der, (size_t)len}, SIGNED_DATA_MAX, err);
    OPENSSL_free(der);
    return r;
}

/* The digitally-signed struct of section 3.2, for a precert_entry. */
static int write_signed_data(const struct precert *precert, const struct sct *sct,
                             struct sl_bytes *b, struct sl_error *err)
{
    const struct sl_span key_hash = {precert->issuer_key_hash, sizeof(precert->issuer_key_hash)};
    int r = append_number(b, /* version, certificate_timestamp */ 0, 2, err);
    if (r == 0)
        r = append_number(b, sct->timestamp, 8, err);
    if (r == 0)
        r = append_number(b, /* precert_entry */ 1, 2, err);
    if (r == 0)
        r = sl_bytes_append(b, key_hash, SIGNED_DATA_MAX, err);
    if (r == 0)
        r = append_number(b, precert->tbs.len, 3, err);
    if (r == 0)
        r = sl_bytes_append(b, sl_bytes_span(&precert->tbs), SIGNED_DATA_MAX, err);
    if (r == 0)
        r = append_number(b, sct->extensions.len, 2, err);
    if (r == 0 && sct->extensions.len)
        r = sl_bytes_append(b, sct->extensions, SIGNED_DATA_MAX, err);
    return r;
}

static bool is_algorithm_of(const struct sct *sct, const EVP_PKEY *key)
{
    return sct->hash == HASH_SHA256 &&
           ((sct->algorithm == SIGNATURE_ECDSA && EVP_PKEY_is_a(key, "EC") == 1) ||
            (sct->algorithm == SIGNATURE_RSA && EVP_PKEY_is_a(key, "RSA") == 1));
}

static bool is_by_log(const struct sct *sct, const struct sl_trusted_log *log, struct sl_span data)
{
    return memcmp(log->id, sct->log_id.data, LOG_ID_SIZE) == 0 &&
           sl_validity_has(&log->valid, (int64_t)(sct->timestamp / MS_PER_SECOND)) &&
           is_algorithm_of(sct, log->key.key) &&
           sl_public_key_verify(&log->key, data, sct->signature, /* allow_ed25519ph= */ false);
}

static bool is_by_any_log(const struct sl_sigstore_trust *trust, const struct precert *precert,
                          const struct sct *sct)
{
    SL_AUTO_DONE(sl_bytes) data = {0};
    if (write_signed_data(precert, sct, &data, NULL) < 0)
        return false;
    for (size_t i = 0; i < trust->n_ct_logs; i++)
        if (is_by_log(sct, &trust->ct_logs[i], sl_bytes_span(&data)))
            return true;
    return false;
}

/* The list inside the OCTET STRING inside the extension. 1, or 0: the leaf has none. */
static int find_list(X509 *leaf, ASN1_OCTET_STRING **ret, struct sl_error *err)
{
    int at = X509_get_ext_by_NID(leaf, NID_ct_precert_scts, -1);
    if (at < 0)
        return 0;
    if (X509_get_ext_by_NID(leaf, NID_ct_precert_scts, at) >= 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "two lists of certificate timestamps");
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(leaf, at));
    const uint8_t *begin = ASN1_STRING_get0_data(value);
    const uint8_t *p = begin;
    long len = ASN1_STRING_length(value);
    ASN1_OCTET_STRING *list = d2i_ASN1_OCTET_STRING(NULL, &p, len);
    ERR_clear_error();
    if (!list || p != begin + len) {
        ASN1_OCTET_STRING_free(list);
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "bad list of certificate timestamps");
    }
    *ret = list;
    return 1;
}

static int check_list(const struct sl_sigstore_trust *trust, const struct precert *precert,
                      struct sl_span list, struct sl_error *err)
{
    struct sl_span items;
    struct sl_span item;
    size_t n = 0;
    bool found = false;
    if (!take_vector(&list, &items) || list.len)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "bad list of certificate timestamps");
    for (; items.len; n++) {
        struct sct sct = {0};
        if (n == SCTS_MAX || !take_vector(&items, &item))
            return sl_error_set(err, SL_E_FORMAT, EBADMSG, "bad list of certificate timestamps");
        found = found || (parse_sct(item, &sct) && is_by_any_log(trust, precert, &sct));
    }
    return found ? 0
                 : sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                                "none of its %zu certificate timestamps is by a trusted log", n);
}

int sl_sct_check(const struct sl_sigstore_trust *trust, X509 *leaf, X509 *issuer,
                 struct sl_error *err)
{
    if (!trust->n_ct_logs)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "no certificate transparency log is trusted; x-trustedRootPath or "
                            "x-ctKeyPath name one, \"x-sct\": \"ignore\" does without");
    ASN1_OCTET_STRING *list = NULL;
    int r = find_list(leaf, &list, err);
    if (r == 0)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "it has no certificate timestamp (SCT)");
    if (r < 0)
        return r;
    struct precert precert = {0};
    r = make_precert(leaf, issuer, &precert, err);
    if (r == 0)
        r = check_list(
            trust, &precert,
            (struct sl_span){ASN1_STRING_get0_data(list), (size_t)ASN1_STRING_length(list)}, err);
    sl_bytes_done(&precert.tbs);
    ASN1_OCTET_STRING_free(list);
    ERR_clear_error();
    return r;
}
