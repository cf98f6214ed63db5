/* SPDX-License-Identifier: Apache-2.0 */
/* signedBy: one OpenPGP message by one of the requirement's keys. Inside security/ only. */
#pragma once

#include "finding.h"
#include "policy_document.h"

/* A requirement's keys in a private home of gpg, ready to verify with: made once for all signatures
 * of a judgement. */
struct sl_pgp_keyring;
/* A rejection when a key cannot be read or imported, or there is none in them. */
SL_MUST_CHECK int sl_pgp_keyring_open(const struct sl_requirement *requirement,
                                      struct sl_pgp_keyring **ret,
                                      struct sl_signature_finding *finding);
struct sl_pgp_keyring *sl_pgp_keyring_free(struct sl_pgp_keyring *keyring);
SL_DEFINE_AUTO(sl_pgp_keyring, sl_pgp_keyring_free)

SL_MUST_CHECK int sl_simple_signature_verify(struct sl_pgp_keyring *keyring,
                                             const struct sl_requirement *requirement,
                                             const struct sl_judged_image *image,
                                             const struct sl_signature *signature,
                                             struct sl_signature_finding *finding);
