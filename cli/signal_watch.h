/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask a long run to stop are taken by one thread, which may call anything. */
#pragma once

#include "sluice/pipeline.h"

#include <pthread.h>
#include <signal.h>

struct signal_watch {
    sigset_t signals;
    pthread_t thread;
    struct sl_engine *engine;
};

/* Before any other thread starts, so that all inherit the mask. */
void signal_watch_block(struct signal_watch *w);
/* From here to the stop, a signal cancels the engine. */
SL_MUST_CHECK int signal_watch_start(struct signal_watch *w, struct sl_engine *engine,
                                     struct sl_error *err);
void signal_watch_stop(struct signal_watch *w);
