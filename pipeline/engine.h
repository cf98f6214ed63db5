/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the pipeline may know of an engine. */
#pragma once

#include "cancel_watch.h"
#include "memory_share.h"
#include "sluice/image_sink.h"
#include "sluice/pipeline.h"

#include <pthread.h>

/* A registry engine: cancelled with the engine for as long as somebody uses it, then freed. */
struct sl_engine_registry {
    struct sl_registry *registry;
    unsigned n_users;
    struct sl_engine_registry *next;
};

struct sl_engine {
    struct sl_store *store; /* NULL: there is none */
    struct sl_worker_pool *workers;
    struct sl_buf_pool *buffers;
    struct sl_memory_share *memory; /* of buffers */
    struct sl_cancel_watch *cancel_watch;
    int cancel_fd; /* an eventfd that becomes, and stays, readable */
    pthread_mutex_t lock;
    struct sl_engine_registry *registries; /* under the lock, as the next; all that are used */
    struct sl_engine_registry *registry;   /* for who comes now */
};

/* One piece of work in an engine: what it keeps although the engine is reloaded, and what ends it.
 * May be closed when it was not opened, if it was zeroed. */
struct sl_visit {
    struct sl_engine *engine;
    struct sl_engine_registry *held;
    struct sl_registry *registry; /* of held */
    int cancel_fd;                /* core/cancel.h: the engine's cancellation or the caller's */
    bool is_open, has_own_cancel;
    struct sl_cancel_target target;
    /* Of a sink: another descriptor for the same. */
    struct sl_cancel_target sink_target;
};
/* own_cancel_fd: the caller's (core/cancel.h); borrowed. */
SL_MUST_CHECK int sl_visit_open(struct sl_engine *engine, int own_cancel_fd, struct sl_visit *ret,
                                struct sl_error *err);
void sl_visit_close(struct sl_visit *visit);
SL_DEFINE_AUTO_DONE(sl_visit, sl_visit_close)
/* Opens a source that is cancelled with the visit; at most one. Closed only by
 * sl_visit_close_source(). */
SL_MUST_CHECK int sl_visit_open_source(struct sl_visit *visit, const char *text,
                                       struct sl_image_source **ret, struct sl_error *err);
struct sl_image_source *sl_visit_close_source(struct sl_visit *visit, struct sl_image_source *src);

/* The same of a sink. registry: the visit's, or one that it has adopted. */
SL_MUST_CHECK int sl_visit_open_sink(struct sl_visit *visit, struct sl_registry *registry,
                                     const char *text, struct sl_image_sink **ret,
                                     struct sl_error *err);
struct sl_image_sink *sl_visit_close_sink(struct sl_visit *visit, struct sl_image_sink *sink);

/* A registry engine of the visit's own, cancelled with the engine. Takes it. */
SL_MUST_CHECK int sl_engine_adopt(struct sl_engine *engine, struct sl_registry **registry,
                                  struct sl_engine_registry **ret, struct sl_error *err);
/* Accepts NULL. */
void sl_engine_release(struct sl_engine *engine, struct sl_engine_registry *held);

/* The engine's own cancellation, or the caller's. */
bool sl_visit_is_cancelled(const struct sl_visit *visit);
