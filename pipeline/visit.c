/* SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <fcntl.h>
#include <sys/epoll.h>

/* An epoll descriptor is readable while one of those in it is: two cancellations become one that
 * everybody can wait for. */
static int join_fds(int a, int b, int *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, a, &event) < 0 ||
        epoll_ctl(fd, EPOLL_CTL_ADD, b, &event) < 0)
        return sl_error_system(err, errno, "watching for a cancellation");
    *ret = sl_steal_fd(&fd);
    return 0;
}

int sl_visit_open(struct sl_engine *engine, int own_cancel_fd, struct sl_visit *ret,
                  struct sl_error *err)
{
    struct sl_visit v = {
        .engine = engine, .cancel_fd = engine->cancel_fd, .has_own_cancel = own_cancel_fd > 0};
    int r = v.has_own_cancel ? join_fds(engine->cancel_fd, own_cancel_fd, &v.cancel_fd, err) : 0;
    if (r < 0)
        return r;
    pthread_mutex_lock(&engine->lock);
    v.held = engine->registry;
    v.held->n_users++;
    pthread_mutex_unlock(&engine->lock);
    v.registry = v.held->registry;
    v.is_open = true;
    *ret = v;
    return 0;
}

void sl_visit_close(struct sl_visit *v)
{
    if (!v->is_open)
        return;
    sl_engine_release(v->engine, v->held);
    if (v->has_own_cancel)
        sl_cleanup_fdp(&v->cancel_fd);
    *v = (struct sl_visit){.cancel_fd = -1};
}

static void cancel_source(void *arg)
{
    sl_image_source_cancel(arg);
}

int sl_visit_open_source(struct sl_visit *v, const char *text, struct sl_image_source **ret,
                         struct sl_error *err)
{
    struct sl_image_source *src = NULL;
    int r = sl_image_source_open(v->registry, text, &src, err);
    if (r < 0)
        return r;
    v->target = (struct sl_cancel_target){.fd = v->cancel_fd, .fn = cancel_source, .arg = src};
    /* Who cancels the engine cancels its registries. */
    r = v->has_own_cancel ? sl_cancel_watch_add(v->engine->cancel_watch, &v->target, err) : 0;
    if (r < 0) {
        (void)sl_image_source_close(src);
        return r;
    }
    *ret = src;
    return 0;
}

struct sl_image_source *sl_visit_close_source(struct sl_visit *v, struct sl_image_source *src)
{
    if (!src)
        return NULL;
    if (v->has_own_cancel)
        sl_cancel_watch_remove(v->engine->cancel_watch, &v->target);
    return sl_image_source_close(src);
}

static void cancel_sink(void *arg)
{
    sl_image_sink_cancel(arg);
}

static int watch_sink(struct sl_visit *v, struct sl_image_sink *sink, struct sl_error *err)
{
    SL_AUTO_FD fd = fcntl(v->cancel_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return sl_error_system(err, errno, "watching for a cancellation");
    v->sink_target = (struct sl_cancel_target){.fd = fd, .fn = cancel_sink, .arg = sink};
    int r = sl_cancel_watch_add(v->engine->cancel_watch, &v->sink_target, err);
    if (r == 0)
        (void)sl_steal_fd(&fd);
    return r;
}

int sl_visit_open_sink(struct sl_visit *v, struct sl_registry *registry, const char *text,
                       struct sl_image_sink **ret, struct sl_error *err)
{
    struct sl_image_sink *sink = NULL;
    int r = sl_image_sink_open(registry, text, &sink, err);
    if (r < 0)
        return r;
    r = v->has_own_cancel ? watch_sink(v, sink, err) : 0;
    if (r < 0) {
        (void)sl_image_sink_close(sink);
        return r;
    }
    *ret = sink;
    return 0;
}

struct sl_image_sink *sl_visit_close_sink(struct sl_visit *v, struct sl_image_sink *sink)
{
    if (!sink)
        return NULL;
    if (v->has_own_cancel) {
        sl_cancel_watch_remove(v->engine->cancel_watch, &v->sink_target);
        sl_cleanup_fdp(&v->sink_target.fd);
    }
    return sl_image_sink_close(sink);
}

bool sl_visit_is_cancelled(const struct sl_visit *v)
{
    return sl_cancel_is_asked(v->cancel_fd);
}
