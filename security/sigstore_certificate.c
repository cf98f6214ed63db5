/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of signers: Fulcio's, good for the minutes after they were made, and those of an
 * operator's own PKI. Trust ends at anchors that need not be roots. */
#include "certificate_identity.h"
#include "finding.h"
#include "pem_block.h"
#include "sigstore_trust.h"

#include "sluice/core/openssl_auto.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <string.h>
#include <time.h>

enum {
    CERTIFICATE_MAX = 64 * 1024, /* bytes of DER */
    CERTIFICATES_MAX = 256,      /* in one PEM text */
    CHAIN_DEPTH_MAX = 8,         /* CAs between leaf and anchor */
    AUTH_LEVEL = 2, /* 112 bits: neither SHA-1 nor RSA below 2048, SSL_CTX_set_security_level(3) */
};

/* ---- reading ---- */

int sl_certificate_parse_der(struct sl_span der, X509 **ret, struct sl_error *err)
{
    if (der.len > CERTIFICATE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a certificate of more than %d bytes",
                            CERTIFICATE_MAX);
    const uint8_t *p = der.data;
    SL_AUTO(x509_st) cert = d2i_X509(NULL, &p, (long)der.len);
    uint8_t *again = NULL;
    int len = cert && p == der.data + der.len ? i2d_X509(cert, &again) : -1;
    bool whole = len > 0 && (size_t)len == der.len && memcmp(again, der.data, der.len) == 0;
    OPENSSL_free(again);
    ERR_clear_error();
    if (!whole)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "not a certificate (X.509, DER)");
    *ret = sl_steal(&cert);
    return 0;
}

int sl_certificate_parse_pem(struct sl_span pem, X509 **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) der = {0};
    int r = sl_pem_read_one(pem, "CERTIFICATE", &der, err);
    return r < 0 ? r : sl_certificate_parse_der(sl_bytes_span(&der), ret, err);
}

/* 1, or 0 at the end of the text. */
static int parse_next(struct sl_span *pem, STACK_OF(X509) * certs, struct sl_error *err)
{
    SL_AUTO_FREE char *label = NULL;
    SL_AUTO_DONE(sl_bytes) der = {0};
    SL_AUTO(x509_st) cert = NULL;
    int r = sl_pem_next(pem, /* allows_notes= */ true, &label, &der, err);
    if (r <= 0)
        return r;
    if (strcmp(label, "CERTIFICATE") != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a PEM block '%.40s' among certificates",
                            label);
    if (sk_X509_num(certs) == CERTIFICATES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d certificates", CERTIFICATES_MAX);
    r = sl_certificate_parse_der(sl_bytes_span(&der), &cert, err);
    if (r < 0)
        return r;
    if (sk_X509_push(certs, cert) <= 0)
        return sl_error_oom(err);
    (void)sl_steal(&cert);
    return 1;
}

int sl_certificates_parse_pem(struct sl_span pem, STACK_OF(X509) * *ret, struct sl_error *err)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    int r = certs ? 1 : sl_error_oom(err);
    while (r > 0)
        r = parse_next(&pem, certs, err);
    if (r == 0 && sk_X509_num(certs) == 0)
        r = sl_error_set(err, SL_E_FORMAT, EBADMSG, "no certificate (PEM)");
    if (r < 0) {
        sk_X509_pop_free(certs, X509_free);
        return r;
    }
    *ret = certs;
    return 0;
}

/* ---- chains ---- */

static bool ends_at(const X509 *cert, int64_t t)
{
    struct tm tm = {0};
    return ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1 && (int64_t)timegm(&tm) == t;
}

/* notAfter itself is within (RFC 5280, section 4.1.2.5); OpenSSL counts it as over. */
static int accept_last_second(int ok, X509_STORE_CTX *ctx)
{
    if (ok)
        return ok;
    const X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    return X509_STORE_CTX_get_error(ctx) == X509_V_ERR_CERT_HAS_EXPIRED && cert &&
           ends_at(cert, X509_VERIFY_PARAM_get_time(param));
}

static void set_param(X509_STORE_CTX *ctx, int64_t t)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time(param, (time_t)t);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_depth(param, CHAIN_DEPTH_MAX);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_STORE_CTX_set_verify_cb(ctx, accept_last_second);
}

/* A CA, and one that may vouch for signers of code when it says what it is for. */
static bool may_issue(X509 *ca)
{
    uint32_t flags = X509_get_extension_flags(ca);
    return X509_check_ca(ca) == 1 && (flags & EXFLAG_INVALID) == 0 &&
           ((flags & EXFLAG_XKUSAGE) == 0 ||
            (X509_get_extended_key_usage(ca) & (XKU_CODE_SIGN | XKU_ANYEKU)) != 0);
}

static bool may_all_issue(const STACK_OF(X509) * chain)
{
    for (int i = 1; i < sk_X509_num(chain); i++)
        if (!may_issue(sk_X509_value(chain, i)))
            return false;
    return true;
}

/* From leaf to one of anchors, all valid at t. X509_V_OK, or OpenSSL's reason. *ret_issuer (may be
 * NULL) is to be freed; it is left NULL when the leaf itself is an anchor. */
static int verify_chain(X509 *leaf, STACK_OF(X509) * anchors, STACK_OF(X509) * untrusted, int64_t t,
                        X509 **ret_issuer)
{
    X509_STORE *none = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error = X509_V_ERR_OUT_OF_MEM;
    if (none && ctx && X509_STORE_CTX_init(ctx, none, leaf, untrusted) == 1) {
        X509_STORE_CTX_set0_trusted_stack(ctx, anchors);
        set_param(ctx, t);
        bool good = X509_verify_cert(ctx) == 1;
        error = good ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
        if (!good && error == X509_V_OK)
            error = X509_V_ERR_UNSPECIFIED;
        STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
        if (good && !may_all_issue(chain))
            error = X509_V_ERR_INVALID_CA;
        X509 *issuer = sk_X509_value(chain, 1);
        if (error == X509_V_OK && ret_issuer && issuer && X509_up_ref(issuer) == 1)
            *ret_issuer = issuer;
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(none);
    ERR_clear_error();
    return error;
}

static STACK_OF(X509) * join(const STACK_OF(X509) * a, int n_a, STACK_OF(X509) * b)
{
    STACK_OF(X509) *both = sk_X509_new_null();
    bool ok = both != NULL;
    for (int i = 0; ok && i < n_a; i++)
        ok = sk_X509_push(both, sk_X509_value(a, i)) > 0;
    for (int i = 0; ok && i < sk_X509_num(b); i++)
        ok = sk_X509_push(both, sk_X509_value(b, i)) > 0;
    if (!ok) {
        sk_X509_free(both);
        both = NULL;
    }
    return both;
}

/* Up to the last certificate of this authority. */
static int verify_by_authority(const struct sl_trusted_chain *authority, X509 *leaf,
                               STACK_OF(X509) * intermediates, int64_t t, X509 **ret_issuer)
{
    int last = sk_X509_num(authority->certs) - 1;
    if (last < 0 || !sl_validity_has(&authority->valid, t))
        return X509_V_ERR_CERT_UNTRUSTED;
    /* Else OpenSSL would ask nobody about a leaf that is listed as a CA. */
    if (X509_cmp(leaf, sk_X509_value(authority->certs, last)) == 0)
        return X509_V_ERR_INVALID_CA;
    STACK_OF(X509) *untrusted = join(authority->certs, last, intermediates);
    STACK_OF(X509) *anchors = sk_X509_new_null();
    int error = X509_V_ERR_OUT_OF_MEM;
    if (untrusted && anchors && sk_X509_push(anchors, sk_X509_value(authority->certs, last)) > 0)
        error = verify_chain(leaf, anchors, untrusted, t, ret_issuer);
    sk_X509_free(anchors);
    sk_X509_free(untrusted);
    return error;
}

static int reject_chain(struct sl_signature_finding *finding, int error)
{
    bool is_time = error == X509_V_ERR_CERT_HAS_EXPIRED || error == X509_V_ERR_CERT_NOT_YET_VALID;
    return sl_finding_reject(finding, is_time ? SL_SIG_TIME : SL_SIG_CERT,
                             "certificate: no chain to a trusted CA: %s",
                             X509_verify_cert_error_string(error));
}

/* All validities are intervals: what holds at both ends of a span of time, by the same authority,
 * holds within it, and however many times were proved two chains are checked. */
static int verify_over(const struct sl_trusted_chain *authority, X509 *leaf,
                       STACK_OF(X509) * intermediates, const struct sl_validity *span,
                       X509 **ret_issuer)
{
    int error = verify_by_authority(authority, leaf, intermediates, span->start, ret_issuer);
    if (error != X509_V_OK || span->start == span->end)
        return error;
    return verify_by_authority(authority, leaf, intermediates, span->end, /* ret_issuer= */ NULL);
}

/* *ret_issuer is to be freed. */
static int check_authorities(const struct sl_sigstore_trust *trust, X509 *leaf,
                             STACK_OF(X509) * intermediates, const struct sl_validity *span,
                             X509 **ret_issuer, struct sl_signature_finding *finding)
{
    int told = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    for (size_t i = 0; i < trust->n_authorities; i++) {
        SL_AUTO(x509_st) issuer = NULL;
        int error = verify_over(&trust->authorities[i], leaf, intermediates, span, &issuer);
        if (error == X509_V_OK && issuer) {
            *ret_issuer = sl_steal(&issuer);
            return 0;
        }
        /* The CA that got further has the better reason. */
        if (error != X509_V_OK && error != X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)
            told = error;
    }
    return reject_chain(finding, told);
}

/* ---- Fulcio ---- */

/* certificate-specification.md of Fulcio: for signatures of code, by somebody who is no CA. */
static int check_fulcio_uses(X509 *leaf, struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (sl_certificate_check_extensions(leaf, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s", err.msg);
    uint32_t flags = X509_get_extension_flags(leaf);
    if ((flags & EXFLAG_CA) != 0 || X509_check_ca(leaf) != 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: it is a CA's, not a signer's");
    if ((flags & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return sl_finding_reject(finding, SL_SIG_CERT,
                                 "certificate: not for digital signatures (keyUsage)");
    if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(leaf) & XKU_CODE_SIGN) == 0)
        return sl_finding_reject(finding, SL_SIG_CERT,
                                 "certificate: not for code signing (extendedKeyUsage)");
    return 0;
}

static int check_oidc_issuer(X509 *leaf, const char *want, struct sl_signature_finding *finding)
{
    SL_AUTO_DONE(sl_bytes) issuer = {0};
    struct sl_error err = {0};
    if (sl_certificate_oidc_issuer(leaf, &issuer, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s", err.msg);
    if (!want || !sl_span_is_equal(sl_bytes_span(&issuer), sl_span_of(want)))
        return sl_finding_reject(finding, SL_SIG_IDENTITY,
                                 "certificate: its OIDC issuer is '%.100s', not '%.100s'",
                                 (const char *)issuer.data, want ? want : "");
    return 0;
}

static int check_name(X509 *leaf, int type, const char *want, struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (sl_certificate_need_name(leaf, type, want, &err) < 0)
        return sl_finding_reject(finding, err.code == SL_E_POLICY ? SL_SIG_IDENTITY : SL_SIG_CERT,
                                 "certificate: %s", err.msg);
    sl_finding_set_text(finding->signed_name, want);
    return 0;
}

static int check_fulcio_identity(const struct sl_requirement *requirement, X509 *leaf,
                                 struct sl_signature_finding *finding)
{
    int r = check_oidc_issuer(leaf, requirement->oidc_issuer, finding);
    if (r < 0)
        return r;
    if (!requirement->subject_email == !requirement->subject_uri)
        return sl_finding_reject(finding, SL_SIG_IDENTITY,
                                 "the policy names no one subject for the certificate");
    return requirement->subject_email
               ? check_name(leaf, GEN_EMAIL, requirement->subject_email, finding)
               : check_name(leaf, GEN_URI, requirement->subject_uri, finding);
}

static struct sl_validity span_of(const int64_t *times, size_t n_times)
{
    struct sl_validity span = {times[0], times[0]};
    for (size_t i = 1; i < n_times; i++) {
        span.start = times[i] < span.start ? times[i] : span.start;
        span.end = times[i] > span.end ? times[i] : span.end;
    }
    return span;
}

int sl_fulcio_check(const struct sl_requirement *requirement, X509 *leaf,
                    STACK_OF(X509) * intermediates, const int64_t *times, size_t n_times,
                    struct sl_signature_finding *finding)
{
    const struct sl_sigstore_trust *trust = requirement->trust;
    SL_AUTO(x509_st) issuer = NULL;
    struct sl_error err = {0};
    if (!trust || n_times == 0)
        return sl_finding_reject(finding, SL_SIG_TIME, "certificate: no proof of when it was used");
    int r = check_fulcio_uses(leaf, finding);
    const struct sl_validity span = span_of(times, n_times);
    if (r == 0)
        r = check_authorities(trust, leaf, intermediates, &span, &issuer, finding);
    if (r < 0)
        return r;
    if (!requirement->ignores_sct && sl_sct_check(trust, leaf, issuer, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s", err.msg);
    return check_fulcio_identity(requirement, leaf, finding);
}

/* ---- the operator's own PKI ---- */

static int check_pki_uses(X509 *leaf, struct sl_signature_finding *finding)
{
    struct sl_error err = {0};
    if (sl_certificate_check_extensions(leaf, &err) < 0)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: %s", err.msg);
    uint32_t flags = X509_get_extension_flags(leaf);
    if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
        return sl_finding_reject(finding, SL_SIG_CERT,
                                 "certificate: not for digital signatures (keyUsage)");
    if ((flags & EXFLAG_XKUSAGE) != 0 &&
        (X509_get_extended_key_usage(leaf) & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0)
        return sl_finding_reject(finding, SL_SIG_CERT,
                                 "certificate: not for code signing (extendedKeyUsage)");
    return 0;
}

/* RFC 6125, and never the common name. */
static int check_hostname(X509 *leaf, const char *want, struct sl_signature_finding *finding)
{
    const unsigned flags =
        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    /* To OpenSSL a dot in front means any host below. */
    bool good =
        want[0] && want[0] != '.' && X509_check_host(leaf, want, strlen(want), flags, NULL) == 1;
    ERR_clear_error();
    if (!good)
        return sl_finding_reject(finding, SL_SIG_IDENTITY,
                                 "certificate: the certificate is not of '%.100s'", want);
    sl_finding_set_text(finding->signed_name, want);
    return 0;
}

static int check_pki_identity(const struct sl_requirement *requirement, X509 *leaf,
                              struct sl_signature_finding *finding)
{
    if (!requirement->pki_email && !requirement->pki_hostname)
        return sl_finding_reject(finding, SL_SIG_IDENTITY,
                                 "the policy names no subject for the certificate");
    int r =
        requirement->pki_hostname ? check_hostname(leaf, requirement->pki_hostname, finding) : 0;
    if (r == 0 && requirement->pki_email)
        r = check_name(leaf, GEN_EMAIL, requirement->pki_email, finding);
    return r;
}

int sl_pki_check(const struct sl_requirement *requirement, X509 *leaf,
                 STACK_OF(X509) * intermediates, struct sl_signature_finding *finding)
{
    const struct sl_sigstore_trust *trust = requirement->trust;
    if (!trust || !trust->pki_roots)
        return sl_finding_reject(finding, SL_SIG_CERT, "certificate: no CA is trusted");
    int r = check_pki_uses(leaf, finding);
    if (r < 0)
        return r;
    STACK_OF(X509) *known = trust->pki_intermediates;
    STACK_OF(X509) *untrusted = join(known, known ? sk_X509_num(known) : 0, intermediates);
    int error = untrusted ? verify_chain(leaf, trust->pki_roots, untrusted, (int64_t)time(NULL),
                                         /* ret_issuer= */ NULL)
                          : X509_V_ERR_OUT_OF_MEM;
    sk_X509_free(untrusted);
    return error == X509_V_OK ? check_pki_identity(requirement, leaf, finding)
                              : reject_chain(finding, error);
}
