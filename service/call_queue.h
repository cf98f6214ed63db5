/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on their way from the server's thread, which must not block, to workers, which may. */
#pragma once

#include "sluice/core/worker_pool.h"
#include "sluice/rpc.h"

/* Answers a call, in whichever way. Any worker; may block. Not asked for calls that nobody waits
 * for any more when their turn comes. */
typedef void sl_call_fn(void *arg, struct sl_rpc_call *call);

struct sl_call_queue;
/* threads 0: one for each core. */
SL_MUST_CHECK int sl_call_queue_new(unsigned threads, sl_call_fn *answer, void *arg,
                                    struct sl_call_queue **ret, struct sl_error *err);
/* Waits until every call is answered. Nobody may add any more. */
struct sl_call_queue *sl_call_queue_free(struct sl_call_queue *queue);
SL_DEFINE_AUTO(sl_call_queue, sl_call_queue_free)
/* Has the type of sl_rpc_handler_fn; arg is the queue. Refuses when too many wait. */
void sl_call_queue_add(void *queue, struct sl_rpc_call *call);
