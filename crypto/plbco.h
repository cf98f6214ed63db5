/* SPDX-License-Identifier: Apache-2.0 */
/* The private options of a layer (ocicrypt's PrivateLayerBlockCipherOptions): the small secret
 * JSON that every key-wrapping protocol wraps. */
#pragma once

#include "sluice/layer_crypto.h"

/* Needs a symkey of 32 bytes and a nonce of 16. The digest in it is ignored: whoever knows the
 * public key of a recipient can write any. Sets lek and nonce only. */
SL_MUST_CHECK int sl_plbco_parse(struct sl_span text, struct sl_layer_key *ret,
                                 struct sl_error *err);
/* Whether it would parse, without a reason: for ciphers that cannot tell a wrong key otherwise. */
SL_MUST_CHECK int sl_plbco_check(struct sl_span text);
