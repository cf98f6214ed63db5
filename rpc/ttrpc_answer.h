/* SPDX-License-Identifier: Apache-2.0 */
/* What a ttrpc server sends to who has asked it one thing. */
#pragma once

#include "client.h"
#include "ttrpc_frame.h"

/* Adds bytes; 1 once the answer to stream is complete. SL_E_NETWORK and EPROTO when they are no
 * answer to it, are too many, or say so. */
SL_MUST_CHECK int sl_ttrpc_answer_take(struct sl_ttrpc_reader *reader, uint32_t stream,
                                       struct sl_span bytes, struct sl_error *err);
/* Of a complete answer; *ret as in client.h. SL_E_NETWORK when it cannot be read. */
SL_MUST_CHECK int sl_ttrpc_answer_read(const struct sl_ttrpc_reader *reader,
                                       struct sl_rpc_reply *ret, struct sl_error *err);
