/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of images, made. */
#pragma once

#include "sluice/signature.h"

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
