/* SPDX-License-Identifier: Apache-2.0 */
/* The payload that simple signing and cosign sign: which manifest, under which name
 * (containers-signature.5.md, cosign SIGNATURE_SPEC.md), read. Inside security/ only. */
#pragma once

#include "finding.h"
#include "policy_document.h"
#include "sluice/signature_write.h"

struct sl_signature_payload {
    char *reference; /* docker-reference, as written */
    char *digest;    /* docker-manifest-digest, as written */
    char *creator;   /* NULL when absent */
    bool has_timestamp;
    int64_t timestamp; /* the signer's word, not proved */
};
void sl_signature_payload_done(struct sl_signature_payload *payload);
SL_DEFINE_AUTO_DONE(sl_signature_payload, sl_signature_payload_done)
/* type: one of the two. Strict. */
SL_MUST_CHECK int sl_signature_payload_parse(struct sl_span json, const char *type,
                                             struct sl_signature_payload *ret,
                                             struct sl_error *err);
/* Whether a digest that was signed ("sha256:…", any case refused) is the image's manifest or index.
 * 0 or a rejection; sets finding->names_index. Platform manifest first. */
SL_MUST_CHECK int sl_signed_digest_check(const struct sl_judged_image *image, const char *digest,
                                         struct sl_signature_finding *finding);
/* All that follows once the signature over these bytes is good: parse, digest, name. */
SL_MUST_CHECK int sl_signature_payload_check(struct sl_span json, const char *type,
                                             const struct sl_requirement *requirement,
                                             const struct sl_judged_image *image,
                                             struct sl_signature_finding *finding);
