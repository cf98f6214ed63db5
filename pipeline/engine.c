/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include "sluice/core/cancel.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int engine_open(struct sl_engine *e, const struct sl_engine_options *o, struct sl_error *err)
{
    e->cancel_fd = eventfd(0, EFD_CLOEXEC);
    if (e->cancel_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    int r = 0;
    if (!o->storeless)
        r = sl_store_open(o->root ? o->root : SL_STORE_ROOT_DEFAULT, &e->store, err);
    if (r < 0)
        return r;
    r = sl_buf_pool_new(o->memory ? o->memory : SL_BUF_POOL_DEFAULT, &e->buffers, err);
    if (r < 0)
        return r;
    r = sl_memory_share_new(e->buffers, &e->memory, err);
    if (r < 0)
        return r;
    r = sl_worker_pool_new(o->threads, &e->workers, err);
    if (r < 0)
        return r;
    r = sl_cancel_watch_new(&e->cancel_watch, err);
    return r < 0 ? r : sl_engine_reload(e, &o->registry, o->broker, err);
}

int sl_engine_new(const struct sl_engine_options *options, struct sl_engine **ret,
                  struct sl_error *err)
{
    SL_AUTO(sl_engine) e = calloc(1, sizeof(*e));
    if (!e)
        return sl_error_oom(err);
    e->cancel_fd = -1;
    pthread_mutex_init(&e->lock, NULL);
    int r = engine_open(e, options, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&e);
    return 0;
}

struct sl_engine *sl_engine_free(struct sl_engine *e)
{
    if (!e)
        return NULL;
    if (e->registry)
        sl_engine_release(e, e->registry);
    (void)sl_cancel_watch_free(e->cancel_watch);
    (void)sl_worker_pool_free(e->workers);
    (void)sl_memory_share_free(e->memory);
    (void)sl_buf_pool_free(e->buffers);
    (void)sl_store_close(e->store);
    sl_cleanup_fdp(&e->cancel_fd);
    pthread_mutex_destroy(&e->lock);
    free(e);
    return NULL;
}

void sl_engine_cancel(struct sl_engine *e)
{
    const uint64_t one = 1;
    /* The counter cannot overflow in the life of a process, so this does not block. */
    ssize_t n = write(e->cancel_fd, &one, sizeof(one));
    (void)n;
    pthread_mutex_lock(&e->lock);
    for (struct sl_engine_registry *held = e->registries; held; held = held->next)
        sl_registry_cancel(held->registry);
    pthread_mutex_unlock(&e->lock);
}

/* ---- registries ---- */

int sl_engine_adopt(struct sl_engine *e, struct sl_registry **registry,
                    struct sl_engine_registry **ret, struct sl_error *err)
{
    struct sl_engine_registry *held = calloc(1, sizeof(*held));
    if (!held)
        return sl_error_oom(err);
    *held = (struct sl_engine_registry){.registry = sl_steal(registry), .n_users = 1};
    pthread_mutex_lock(&e->lock);
    held->next = e->registries;
    e->registries = held;
    pthread_mutex_unlock(&e->lock);
    /* Whoever cancelled before did not see it. */
    if (sl_cancel_is_asked(e->cancel_fd))
        sl_registry_cancel(held->registry);
    *ret = held;
    return 0;
}

void sl_engine_release(struct sl_engine *e, struct sl_engine_registry *held)
{
    if (!held)
        return;
    pthread_mutex_lock(&e->lock);
    bool is_last = --held->n_users == 0;
    struct sl_engine_registry **at = &e->registries;
    while (is_last && *at != held)
        at = &(*at)->next;
    if (is_last)
        *at = held->next;
    pthread_mutex_unlock(&e->lock);
    if (!is_last)
        return;
    (void)sl_registry_free(held->registry);
    free(held);
}

int sl_engine_reload(struct sl_engine *e, const struct sl_registry_options *options,
                     const struct sl_key_options *broker, struct sl_error *err)
{
    SL_AUTO(sl_registry) registry = NULL;
    struct sl_engine_registry *held = NULL;
    int r = sl_registry_open(options, broker, &registry, err);
    if (r == 0)
        r = sl_engine_adopt(e, &registry, &held, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&e->lock);
    struct sl_engine_registry *old = e->registry;
    e->registry = held;
    pthread_mutex_unlock(&e->lock);
    sl_engine_release(e, old);
    return 0;
}

struct sl_store *sl_engine_store(struct sl_engine *e)
{
    return e->store;
}

struct sl_buf_pool *sl_engine_buffers(struct sl_engine *e)
{
    return e->buffers;
}
