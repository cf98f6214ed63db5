/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of sl_packet_wrap_with_params(), for recipients whose KEK is read once for all
 * layers. */
#pragma once

#include "sluice/key_wrap.h"

/* SL_E_POLICY unless what the parameters ask for is allowed. */
SL_MUST_CHECK int sl_packet_params_check(const struct sl_packet_params *params, bool allow_sample,
                                         bool allow_ctr, struct sl_error *err);
/* The sample key, that of the file, or what lookup gives. The caller wipes ret. */
SL_MUST_CHECK int sl_packet_params_kek(const struct sl_packet_params *params,
                                       sl_kek_lookup_fn *lookup, void *lookup_arg,
                                       uint8_t ret[SL_KEK_SIZE], struct sl_error *err);
SL_MUST_CHECK int sl_packet_params_wrap(const struct sl_packet_params *params,
                                        const uint8_t kek[SL_KEK_SIZE], struct sl_span plbco,
                                        struct sl_bytes *ret, struct sl_error *err);
/* sl_packet_wrap() with an IV of the caller: 16 bytes for CTR, else 12. Never twice with one KEK.
 */
SL_MUST_CHECK int sl_packet_wrap_with_iv(const uint8_t kek[SL_KEK_SIZE], const char *kid,
                                         bool is_ctr, struct sl_span iv, struct sl_span plbco,
                                         struct sl_bytes *ret, struct sl_error *err);
