/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"
#include "sigstore_trust.h"

int sl_certificate_parse_pem(struct sl_span pem, X509 **ret, struct sl_error *err)
{
    (void)pem;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_certificates_parse_pem(struct sl_span pem, STACK_OF(X509) * *ret, struct sl_error *err)
{
    (void)pem;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_fulcio_check(const struct sl_requirement *requirement, X509 *leaf,
                    STACK_OF(X509) * intermediates, const int64_t *times, size_t n_times,
                    struct sl_signature_finding *finding)
{
    (void)requirement;
    (void)leaf;
    (void)intermediates;
    (void)times;
    (void)n_times;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}

int sl_pki_check(const struct sl_requirement *requirement, X509 *leaf,
                 STACK_OF(X509) * intermediates, struct sl_signature_finding *finding)
{
    (void)requirement;
    (void)leaf;
    (void)intermediates;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}
