/* SPDX-License-Identifier: Apache-2.0 */
/* JWE key management: from a recipient's encrypted_key to the content key. */
#pragma once

#include "jwe_message.h"
#include "openssl_auto.h"

struct sl_jwe_alg;
/* NULL when alg is unknown (or NULL). Static. */
const struct sl_jwe_alg *sl_jwe_alg_find(const char *alg);
/* Whether a key is of the kind this algorithm needs. */
bool sl_jwe_alg_fits(const struct sl_jwe_alg *alg, const EVP_PKEY *key);
/* The content key; the caller wipes *ret, which must be empty. key must fit. */
SL_MUST_CHECK int sl_jwe_alg_open(const struct sl_jwe_alg *alg, const struct sl_jwe *jwe,
                                  const struct sl_jwe_recipient *recipient, EVP_PKEY *key,
                                  struct sl_bytes *ret, struct sl_error *err);
