/* SPDX-License-Identifier: Apache-2.0 */
/* AES over small messages in memory, the way back from aes_open.h. */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_GCM_IV_SIZE = 12, SL_GCM_TAG_SIZE = 16, SL_CTR_IV_SIZE = 16 };

/* All: *ret must be empty, and holds nothing secret. A key or IV of the wrong size is SL_E_FORMAT.
 * The caller never uses an IV twice with one key. */

/* key: 16 or 32 bytes; iv: SL_GCM_IV_SIZE. The tag is appended to the ciphertext. */
SL_MUST_CHECK int sl_aes_gcm_seal(struct sl_span key, struct sl_span iv, struct sl_span aad,
                                  struct sl_span text, struct sl_bytes *ret, struct sl_error *err);
/* key: 32 bytes; iv: SL_CTR_IV_SIZE. Not authenticated. */
SL_MUST_CHECK int sl_aes_ctr_seal(struct sl_span key, struct sl_span iv, struct sl_span text,
                                  struct sl_bytes *ret, struct sl_error *err);
/* RFC 3394. kek: 16, 24 or 32 bytes. */
SL_MUST_CHECK int sl_aes_wrap_key(struct sl_span kek, struct sl_span key, struct sl_bytes *ret,
                                  struct sl_error *err);
/* Fresh bytes for keys and IVs, from OpenSSL's generator. */
SL_MUST_CHECK int sl_random_key(uint8_t *ret, size_t size, struct sl_error *err);
SL_MUST_CHECK int sl_random_iv(uint8_t *ret, size_t size, struct sl_error *err);
