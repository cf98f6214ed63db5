/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of images, made. */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/signature.h"
#include "sluice/sigstore_sign.h"

#define SL_PAYLOAD_TYPE_SIMPLE "atomic container signature"
#define SL_PAYLOAD_TYPE_COSIGN "cosign container image signature"
#define SL_BUNDLE_MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
/* Of the statement in a bundle that cosign makes of an image it signs. */
#define SL_PREDICATE_COSIGN_SIGN "https://sigstore.dev/cosign/sign/v1"

/* The bytes that are signed (containers-signature.5.md, cosign SIGNATURE_SPEC.md): which manifest,
 * under which name. type: one of the two above. creator NULL, timestamp 0 (seconds since 1970):
 * left out. *ret must be empty. */
SL_MUST_CHECK int sl_signature_payload_write(const char *type, const char *reference,
                                             const struct sl_digest *manifest, const char *creator,
                                             int64_t timestamp, struct sl_bytes *ret,
                                             struct sl_error *err);

struct sl_pgp_signer {
    const char *home;       /* a gnupg home directory, never written to; NULL: the user's */
    const char *key;        /* fingerprint, key id of 16 digits, or whole e-mail address or name */
    const char *passphrase; /* of the secret key; NULL: it has none */
};
/* What gpg --sign makes of a payload: one OpenPGP message with the payload inside, in the binary
 * form (containers-signature(5)). SL_E_AUTH: no such secret key, several, or a wrong passphrase.
 * *ret must be empty. */
SL_MUST_CHECK int sl_simple_signature_make(struct sl_span payload,
                                           const struct sl_pgp_signer *signer, struct sl_bytes *ret,
                                           struct sl_error *err);

/* A sigstore bundle as cosign makes it of an image (protobuf-specs sigstore_bundle.proto, v0.3, as
 * JSON): an in-toto statement that names the manifest by digest and by nothing else, in a DSSE
 * envelope; the key is named by its hash, no log and no clock is asked. *ret must be empty. */
SL_MUST_CHECK int sl_image_bundle_make(const struct sl_signing_key *key,
                                       const struct sl_digest *manifest, struct sl_bytes *ret,
                                       struct sl_error *err);
