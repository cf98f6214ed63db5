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
    r = sl_worker_pool_new(o->threads, &e->workers, err);
    if (r < 0)
        return r;
    return sl_registry_open(&o->registry, o->broker, &e->registry, err);
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
    (void)sl_registry_free(e->registry);
    (void)sl_worker_pool_free(e->workers);
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
    sl_registry_cancel(e->registry);
    pthread_mutex_lock(&e->lock);
    for (struct sl_engine_guest *g = e->guests; g; g = g->next)
        sl_registry_cancel(g->registry);
    pthread_mutex_unlock(&e->lock);
}

void sl_engine_enter(struct sl_engine *e, struct sl_engine_guest *guest)
{
    pthread_mutex_lock(&e->lock);
    guest->next = e->guests;
    e->guests = guest;
    pthread_mutex_unlock(&e->lock);
    /* Whoever cancelled before did not see the guest. */
    if (sl_engine_is_cancelled(e))
        sl_registry_cancel(guest->registry);
}

void sl_engine_leave(struct sl_engine *e, struct sl_engine_guest *guest)
{
    pthread_mutex_lock(&e->lock);
    struct sl_engine_guest **at = &e->guests;
    while (*at && *at != guest)
        at = &(*at)->next;
    if (*at)
        *at = guest->next;
    pthread_mutex_unlock(&e->lock);
}

bool sl_engine_is_cancelled(const struct sl_engine *e)
{
    return sl_cancel_is_asked(e->cancel_fd);
}

int sl_engine_cancelled_error(struct sl_error *err)
{
    return sl_cancel_error(err);
}

struct sl_store *sl_engine_store(struct sl_engine *e)
{
    return e->store;
}

struct sl_registry *sl_engine_registry(struct sl_engine *e)
{
    return e->registry;
}

struct sl_buf_pool *sl_engine_buffers(struct sl_engine *e)
{
    return e->buffers;
}
