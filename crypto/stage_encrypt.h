/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "layer_cipher.h"

/* sl_stage_encrypt_new() with a choice, so that tests can force the fallback. */
SL_MUST_CHECK int sl_stage_encrypt_new_with(enum sl_layer_cipher_kind kind,
                                            const struct sl_layer_key *key,
                                            struct sl_blob_summary *summary, struct sl_stage **ret,
                                            struct sl_error *err);
