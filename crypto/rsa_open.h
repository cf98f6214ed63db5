/* SPDX-License-Identifier: Apache-2.0 */
/* RSA decryption of content keys. */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/openssl_auto.h"

/* OAEP with this digest ("SHA1", "SHA256", …) for label and mask, empty label. */
SL_MUST_CHECK int sl_rsa_oaep_open(EVP_PKEY *key, const char *digest, const char *mgf_digest,
                                   struct sl_span text, struct sl_bytes *ret, struct sl_error *err);
/* PKCS#1 v1.5, for a content key of exactly key_size bytes. Wrong padding is not an error: the
 * result is then random, so that nobody can use the answer as an oracle (Bleichenbacher). */
SL_MUST_CHECK int sl_rsa_pkcs1_open(EVP_PKEY *key, struct sl_span text, size_t key_size,
                                    struct sl_bytes *ret, struct sl_error *err);
