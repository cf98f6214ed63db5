/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_payload.h"
#include "finding.h"

void sl_signature_payload_done(struct sl_signature_payload *payload)
{
    (void)payload;
}

int sl_signature_payload_parse(struct sl_span json, const char *type,
                               struct sl_signature_payload *ret, struct sl_error *err)
{
    (void)json;
    (void)type;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_signature_payload_write(const char *type, const char *reference,
                               const struct sl_digest *manifest, const char *creator,
                               int64_t timestamp, struct sl_bytes *ret, struct sl_error *err)
{
    (void)type;
    (void)reference;
    (void)manifest;
    (void)creator;
    (void)timestamp;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}

int sl_signed_digest_check(const struct sl_judged_image *image, const char *digest,
                           struct sl_signature_finding *finding)
{
    (void)image;
    (void)digest;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}

int sl_signature_payload_check(struct sl_span json, const char *type,
                               const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               struct sl_signature_finding *finding)
{
    (void)json;
    (void)type;
    (void)requirement;
    (void)image;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}
