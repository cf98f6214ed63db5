/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that ask a long run to stop are taken by one thread, which may call anything. */
#pragma once

#include "cli.h"

#include <pthread.h>
#include <signal.h>

struct signal_watch {
    sigset_t signals;
    pthread_t thread;
    struct sluice *sluice;
};

/* Blocks the signals that ask for an end, and lists them. Before any other thread starts, so that
 * all inherit the mask. */
void signals_block(sigset_t *ret);
/* The library, which a signal cancels, from here to the stop. */
SL_MUST_CHECK int signal_watch_start(struct signal_watch *w, const struct sluice_options *options,
                                     struct sluice **ret, struct sl_error *err);
void signal_watch_stop(struct signal_watch *w);
