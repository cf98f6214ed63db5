/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that are not ours, on their way to the hub that was here before us, and their answers on
 * the way back: bytes, metadata, statuses and details unchanged. */
#pragma once

#include "metrics.h"
#include "sluice/rpc.h"

struct sl_forward;
/* target: as of sl_rpc_client_new(), ttrpc. Contacts nobody. */
SL_MUST_CHECK int sl_forward_new(const char *target, struct sl_metrics *metrics,
                                 struct sl_forward **ret, struct sl_error *err);
/* The server must have stopped, and be freed later: calls are answered until this returns. */
struct sl_forward *sl_forward_free(struct sl_forward *forward);
SL_DEFINE_AUTO(sl_forward, sl_forward_free)
/* Has the type of sl_rpc_handler_fn; arg is the forward. */
void sl_forward_handle(void *forward, struct sl_rpc_call *call);
