/* SPDX-License-Identifier: Apache-2.0 */
/* RSA encryption of content keys, the way back from rsa_open.h. */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/openssl_auto.h"

/* OAEP with this digest ("SHA1", "SHA256", …) for label and mask, empty label. */
SL_MUST_CHECK int sl_rsa_oaep_seal(EVP_PKEY *key, const char *digest, struct sl_span text,
                                   struct sl_bytes *ret, struct sl_error *err);
/* PKCS#1 v1.5. */
SL_MUST_CHECK int sl_rsa_pkcs1_seal(EVP_PKEY *key, struct sl_span text, struct sl_bytes *ret,
                                    struct sl_error *err);
