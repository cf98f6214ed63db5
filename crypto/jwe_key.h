/* SPDX-License-Identifier: Apache-2.0 */
/* JWE key management: from a recipient's encrypted_key to the content key, and back. */
#pragma once

#include "jwe_message.h"
#include "sluice/core/openssl_auto.h"

struct sl_jwe_alg;
/* NULL when alg is unknown (or NULL). Static. */
const struct sl_jwe_alg *sl_jwe_alg_find(const char *alg);
/* Whether a key is of the kind this algorithm needs. */
bool sl_jwe_alg_fits(const struct sl_jwe_alg *alg, const EVP_PKEY *key);
/* The content key; the caller wipes *ret, which must be empty. key must fit. */
SL_MUST_CHECK int sl_jwe_alg_open(const struct sl_jwe_alg *alg, const struct sl_jwe *jwe,
                                  const struct sl_jwe_recipient *recipient, EVP_PKEY *key,
                                  struct sl_bytes *ret, struct sl_error *err);

/* The algorithm for a public key that names none, as ocicrypt chooses it; NULL when the key is of
 * no kind for which there is one. Static. */
const struct sl_jwe_alg *sl_jwe_alg_for(const EVP_PKEY *key);
const char *sl_jwe_alg_name(const struct sl_jwe_alg *alg);
/* The encrypted_key of a content key. key is public and must fit. *ret_epk is the ephemeral key
 * that goes into the header, its private part included; NULL for RSA. */
SL_MUST_CHECK int sl_jwe_alg_seal(const struct sl_jwe_alg *alg, EVP_PKEY *key, struct sl_span cek,
                                  EVP_PKEY **ret_epk, struct sl_bytes *ret, struct sl_error *err);
