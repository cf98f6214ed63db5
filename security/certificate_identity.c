/* SPDX-License-Identifier: Apache-2.0 */
#include "certificate_identity.h"

#include <openssl/err.h>
#include <openssl/objects.h>

#include <string.h>

enum { EXTENSIONS_MAX = 64, NAMES_MAX = 256, ISSUER_MAX = 2048 /* bytes */ };

static const char oid_issuer_v1[] = "1.3.6.1.4.1.57264.1.1";
static const char oid_issuer_v2[] = "1.3.6.1.4.1.57264.1.8";

int sl_certificate_check_extensions(X509 *cert, struct sl_error *err)
{
    int n = X509_get_ext_count(cert);
    if (n > EXTENSIONS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a certificate with more than %d extensions",
                            EXTENSIONS_MAX);
    for (int i = 0; i < n; i++) {
        const ASN1_OBJECT *oid = X509_EXTENSION_get_object(X509_get_ext(cert, i));
        if (X509_get_ext_by_OBJ(cert, oid, i) >= 0)
            return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a certificate extension stands twice");
    }
    bool invalid = (X509_get_extension_flags(cert) & EXFLAG_INVALID) != 0;
    ERR_clear_error();
    return invalid ? sl_error_set(err, SL_E_FORMAT, EBADMSG, "a bad certificate extension") : 0;
}

/* ---- the token's issuer ---- */

/* Borrowed bytes of the one extension of this name: 1, or 0 when there is none. */
static int find_extension(X509 *cert, const ASN1_OBJECT *oid, struct sl_span *ret,
                          struct sl_error *err)
{
    int at = X509_get_ext_by_OBJ(cert, oid, -1);
    if (at < 0)
        return 0;
    if (X509_get_ext_by_OBJ(cert, oid, at) >= 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a certificate extension stands twice");
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(cert, at));
    *ret = (struct sl_span){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)};
    return 1;
}

static int find_by_oid(X509 *cert, const char *text, struct sl_span *ret, struct sl_error *err)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(text, /* no_name= */ 1);
    int r = oid ? find_extension(cert, oid, ret, err) : sl_error_oom(err);
    ASN1_OBJECT_free(oid);
    return r;
}

static int copy_issuer(struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    if (!text.len || memchr(text.data, 0, text.len))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the OIDC issuer is empty or has a NUL");
    return sl_bytes_append(ret, text, ISSUER_MAX, err);
}

/* DER of a UTF8String and nothing else: what is read must be written the same way. */
static int decode_utf8(struct sl_span der, struct sl_bytes *ret, struct sl_error *err)
{
    const uint8_t *p = der.data;
    ASN1_UTF8STRING *text = d2i_ASN1_UTF8STRING(NULL, &p, (long)der.len);
    uint8_t *again = NULL;
    int len = text ? i2d_ASN1_UTF8STRING(text, &again) : -1;
    bool whole = len > 0 && (size_t)len == der.len && memcmp(again, der.data, der.len) == 0;
    ERR_clear_error();
    int r = whole ? copy_issuer((struct sl_span){ASN1_STRING_get0_data(text),
                                                 (size_t)ASN1_STRING_length(text)},
                                ret, err)
                  : sl_error_set(err, SL_E_FORMAT, EBADMSG, "the OIDC issuer is no UTF8String");
    OPENSSL_free(again);
    ASN1_UTF8STRING_free(text);
    return r;
}

int sl_certificate_oidc_issuer(X509 *cert, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) v1 = {0};
    SL_AUTO_DONE(sl_bytes) v2 = {0};
    struct sl_span raw = {0};
    int has_v1 = find_by_oid(cert, oid_issuer_v1, &raw, err);
    int r = has_v1 > 0 ? copy_issuer(raw, &v1, err) : has_v1;
    if (r < 0)
        return r;
    int has_v2 = find_by_oid(cert, oid_issuer_v2, &raw, err);
    r = has_v2 > 0 ? decode_utf8(raw, &v2, err) : has_v2;
    if (r < 0)
        return r;
    if (!has_v1 && !has_v2)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the certificate names no OIDC issuer");
    if (has_v1 && has_v2 && !sl_span_is_equal(sl_bytes_span(&v1), sl_bytes_span(&v2)))
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "the certificate names two different OIDC issuers");
    struct sl_bytes *from = has_v2 ? &v2 : &v1;
    *ret = *from;
    *from = (struct sl_bytes){0};
    return 0;
}

/* ---- subjectAltName ---- */

static int read_names(X509 *cert, GENERAL_NAMES **ret, struct sl_error *err)
{
    struct sl_span der = {0};
    int r = find_extension(cert, OBJ_nid2obj(NID_subject_alt_name), &der, err);
    if (r <= 0)
        return r < 0 ? r
                     : sl_error_set(err, SL_E_POLICY, EKEYREJECTED,
                                    "the certificate has no subjectAltName");
    const uint8_t *p = der.data;
    GENERAL_NAMES *names = d2i_GENERAL_NAMES(NULL, &p, (long)der.len);
    ERR_clear_error();
    if (!names || p != der.data + der.len || sk_GENERAL_NAME_num(names) > NAMES_MAX) {
        GENERAL_NAMES_free(names);
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the subjectAltName does not parse");
    }
    *ret = names;
    return 0;
}

/* The text of a name that has one: 1, else 0. */
static bool text_of(const GENERAL_NAME *name, int *ret_type, struct sl_span *ret)
{
    const ASN1_IA5STRING *text = GENERAL_NAME_get0_value(name, ret_type);
    if (*ret_type != GEN_EMAIL && *ret_type != GEN_URI && *ret_type != GEN_DNS)
        return false;
    *ret = (struct sl_span){ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)};
    return true;
}

static int find_name(const GENERAL_NAMES *names, int type, const char *want, struct sl_error *err)
{
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        struct sl_span text = {0};
        int this_type = 0;
        if (!text_of(sk_GENERAL_NAME_value(names, i), &this_type, &text) || !text.len)
            continue;
        if (memchr(text.data, 0, text.len))
            return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a NUL in the subjectAltName");
        found = found || (this_type == type && sl_span_is_equal(text, sl_span_of(want)));
    }
    return found ? 0
                 : sl_error_set(err, SL_E_POLICY, EKEYREJECTED,
                                "the certificate is not of '%.100s'", want);
}

int sl_certificate_need_name(X509 *cert, int type, const char *want, struct sl_error *err)
{
    GENERAL_NAMES *names = NULL;
    int r = read_names(cert, &names, err);
    if (r == 0)
        r = find_name(names, type, want, err);
    GENERAL_NAMES_free(names);
    return r;
}
