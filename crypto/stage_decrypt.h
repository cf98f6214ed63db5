/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "layer_cipher.h"

/* sl_stage_decrypt_new() with a choice, so that tests and benchmarks can force the fallback. */
SL_MUST_CHECK int sl_stage_decrypt_new_with(enum sl_layer_cipher_kind kind,
                                            const struct sl_layer_key *key,
                                            const uint8_t hmac[SL_HMAC_SIZE],
                                            const struct sl_digest *blob, uint64_t size,
                                            struct sl_stage **ret, struct sl_error *err);
