/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_rekor_body_check(struct sl_span body, const char *kind, const char *version,
                        const struct sl_logged_signature *about, struct sl_error *err)
{
    (void)body;
    (void)kind;
    (void)version;
    (void)about;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_rekor_set_check(const struct sl_sigstore_trust *trust, struct sl_span set,
                       struct sl_span body, struct sl_span log_id, int64_t integrated_time,
                       int64_t log_index, struct sl_error *err)
{
    (void)trust;
    (void)set;
    (void)body;
    (void)log_id;
    (void)integrated_time;
    (void)log_index;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_rekor_annotation_check(const struct sl_sigstore_trust *trust, const char *annotation,
                              const struct sl_logged_signature *about, int64_t *ret_time,
                              struct sl_error *err)
{
    (void)trust;
    (void)annotation;
    (void)about;
    (void)ret_time;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
