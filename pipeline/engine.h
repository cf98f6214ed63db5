/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the pipeline may know of an engine. */
#pragma once

#include "sluice/pipeline.h"

#include <pthread.h>

/* A registry engine beside the first, for as long as somebody uses it. */
struct sl_engine_guest {
    struct sl_registry *registry;
    struct sl_engine_guest *next; /* the engine's */
};

struct sl_engine {
    struct sl_store *store; /* NULL: there is none */
    struct sl_registry *registry;
    struct sl_worker_pool *workers;
    struct sl_buf_pool *buffers;
    int cancel_fd; /* an eventfd that becomes, and stays, readable */
    pthread_mutex_t lock;
    struct sl_engine_guest *guests; /* under the lock */
};

/* From enter to leave the guest's registry is cancelled with the engine. */
void sl_engine_enter(struct sl_engine *engine, struct sl_engine_guest *guest);
/* Harmless for one that did not enter. */
void sl_engine_leave(struct sl_engine *engine, struct sl_engine_guest *guest);

bool sl_engine_is_cancelled(const struct sl_engine *engine);
/* The words all parts use for it. */
int sl_engine_cancelled_error(struct sl_error *err);
