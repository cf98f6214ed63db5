/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever signs an image controls these bytes: a certificate, PEM or DER, and all its extensions.
 */
#include "certificate_identity.h"
#include "finding.h"
#include "sigstore_trust.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DER_MAX = 128 * 1024, SOME_TIME = 1748779200 };

/* It trusts one log and no CA: nothing may be accepted. */
static void judge(X509 *cert)
{
    static struct sl_trusted_log log;
    static struct sl_sigstore_trust trust = {.ct_logs = &log, .n_ct_logs = 1};
    static const struct sl_requirement requirement = {.trust = &trust,
                                                      .has_fulcio = true,
                                                      .oidc_issuer = (char *)"https://issuer",
                                                      .subject_email = (char *)"a@example.com",
                                                      .pki_hostname = (char *)"example.com"};
    struct sl_signature_finding finding = {0};
    const int64_t t = SOME_TIME;
    if (!log.key.key && sl_public_key_from_evp(EVP_EC_gen("P-256"), &log.key, NULL) < 0)
        abort();
    if (sl_fulcio_check(&requirement, cert, NULL, &t, 1, &finding) != -EKEYREJECTED ||
        sl_pki_check(&requirement, cert, NULL, &finding) != -EKEYREJECTED ||
        sl_sct_check(&trust, cert, cert, NULL) == 0)
        abort();
}

static void read_all(X509 *cert)
{
    SL_AUTO_DONE(sl_bytes) issuer = {0};
    struct sl_error err;
    if (sl_certificate_oidc_issuer(cert, &issuer, &err) == 0 && !issuer.len)
        abort();
    int has_email = sl_certificate_need_name(cert, GEN_EMAIL, "a@example.com", &err);
    int has_uri = sl_certificate_need_name(cert, GEN_URI, "https://example.com", &err);
    if (has_email == 0 && has_uri == 0 && sl_certificate_check_extensions(cert, &err) > 0)
        abort();
    judge(cert);
}

/* The strict reader takes PEM; here everything OpenSSL reads goes on. */
static void read_der(const uint8_t *data, size_t size)
{
    if (size > DER_MAX)
        return;
    X509 *cert = d2i_X509(NULL, &data, (long)size);
    if (cert)
        read_all(cert);
    X509_free(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    X509 *cert = NULL;
    STACK_OF(X509) *certs = NULL;
    struct sl_error err;
    if (sl_certificate_parse_pem((struct sl_span){data, size}, &cert, &err) == 0)
        read_all(cert);
    X509_free(cert);
    if (sl_certificates_parse_pem((struct sl_span){data, size}, &certs, &err) == 0)
        read_all(sk_X509_value(certs, 0));
    sk_X509_pop_free(certs, X509_free);
    read_der(data, size);
    return 0;
}
