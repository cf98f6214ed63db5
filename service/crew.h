/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that come for one piece of work and go after it: for work that waits a long time, of
 * which there is little at once. An idle crew has none. */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

struct sl_crew;
SL_MUST_CHECK int sl_crew_new(unsigned max_threads, struct sl_crew **ret, struct sl_error *err);
/* Waits until all work is done and its threads are no more. Not a thread of the crew. */
struct sl_crew *sl_crew_free(struct sl_crew *crew);
SL_DEFINE_AUTO(sl_crew, sl_crew_free)
/* fn(arg) runs on a thread of its own, with signals blocked. SL_E_LIMIT when max_threads run. Any
 * thread, also of the crew. */
SL_MUST_CHECK int sl_crew_run(struct sl_crew *crew, void (*fn)(void *arg), void *arg,
                              struct sl_error *err);
