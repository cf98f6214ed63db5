/* SPDX-License-Identifier: Apache-2.0 */
/* JWE content encryption: the six algorithms of RFC 7518 section 5.1. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_jwe_enc;
/* NULL when enc is unknown (or NULL). Static. */
const struct sl_jwe_enc *sl_jwe_enc_find(const char *enc);
size_t sl_jwe_enc_key_size(const struct sl_jwe_enc *enc);
/* The caller wipes *ret, which must be empty. */
SL_MUST_CHECK int sl_jwe_enc_open(const struct sl_jwe_enc *enc, struct sl_span cek,
                                  struct sl_span iv, struct sl_span aad, struct sl_span text,
                                  struct sl_span tag, struct sl_bytes *ret, struct sl_error *err);
