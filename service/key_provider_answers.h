/* SPDX-License-Identifier: Apache-2.0 */
/* What a key provider answers to whom: from the bytes of a request to those of an answer. */
#pragma once

#include "sluice.h"
#include "sluice/rpc.h"

/* keys have a broker. Messages are protobuf. On failure *ret_status is what the caller is told.
 * *ret may be secret. */
typedef int sl_key_answer_fn(struct sluice_keys *keys, struct sl_span request, struct sl_bytes *ret,
                             enum sl_rpc_status *ret_status, struct sl_error *err);
sl_key_answer_fn sl_answer_wrap_key, sl_answer_unwrap_key, sl_answer_get_resource;
/* As the hub does it: whichever broker the client names, its own is asked. */
sl_key_answer_fn sl_answer_unwrap_key_for_any;
