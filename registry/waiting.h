/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting on a control thread for the loop thread. */
#pragma once

#include "sluice/core/error.h"

#include <pthread.h>
#include <stdbool.h>

struct sl_waiting {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
    int r;
    struct sl_error err;
};
void sl_waiting_init(struct sl_waiting *w);
/* Once. err may not be NULL, and counts when r < 0. */
void sl_waiting_end(struct sl_waiting *w, int r, const struct sl_error *err);
/* Blocks until it has ended, and ends it for good. */
SL_MUST_CHECK int sl_waiting_join(struct sl_waiting *w, struct sl_error *err);
