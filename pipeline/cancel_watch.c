/* SPDX-License-Identifier: Apache-2.0 */
#include "cancel_watch.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct sl_cancel_watch {
    pthread_mutex_t lock;
    int epoll_fd, stop_fd;
    bool has_thread;
    pthread_t thread;
    struct sl_cancel_target *targets;
};

static struct sl_cancel_target **find(struct sl_cancel_watch *w, const struct sl_cancel_target *t)
{
    struct sl_cancel_target **at = &w->targets;
    while (*at && *at != t)
        at = &(*at)->next;
    return at;
}

static void forget(struct sl_cancel_watch *w, struct sl_cancel_target **at)
{
    struct sl_cancel_target *t = *at;
    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, t->fd, NULL);
    *at = t->next;
    t->next = NULL;
}

/* What the event was about may have gone since, and another may lie at its address. */
static void call(struct sl_cancel_watch *w, const struct sl_cancel_target *target)
{
    pthread_mutex_lock(&w->lock);
    struct sl_cancel_target **at = find(w, target);
    if (*at && sl_cancel_is_asked((*at)->fd)) {
        struct sl_cancel_target *t = *at;
        forget(w, at);
        t->fn(t->arg);
    }
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct sl_cancel_watch *w = arg;
    for (;;) {
        struct epoll_event event;
        int n = epoll_wait(w->epoll_fd, &event, 1, /* timeout= */ -1);
        if (n < 0 && errno != EINTR)
            return NULL;
        if (n == 1 && !event.data.ptr)
            return NULL;
        if (n == 1)
            call(w, event.data.ptr);
    }
}

static int add_fd(struct sl_cancel_watch *w, int fd, void *ptr, struct sl_error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return sl_error_system(err, errno, "watching for a cancellation");
    return 0;
}

int sl_cancel_watch_new(struct sl_cancel_watch **ret, struct sl_error *err)
{
    SL_AUTO(sl_cancel_watch) w = calloc(1, sizeof(*w));
    if (!w)
        return sl_error_oom(err);
    pthread_mutex_init(&w->lock, NULL);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (w->epoll_fd < 0 || w->stop_fd < 0)
        return sl_error_system(err, errno, "watching for cancellations");
    int r = add_fd(w, w->stop_fd, /* ptr= */ NULL, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&w);
    return 0;
}

static void stop_thread(struct sl_cancel_watch *w)
{
    const uint64_t one = 1;
    if (!w->has_thread)
        return;
    ssize_t n = write(w->stop_fd, &one, sizeof(one));
    (void)n;
    (void)pthread_join(w->thread, NULL);
}

struct sl_cancel_watch *sl_cancel_watch_free(struct sl_cancel_watch *w)
{
    if (!w)
        return NULL;
    int saved = errno;
    stop_thread(w);
    sl_cleanup_fdp(&w->epoll_fd);
    sl_cleanup_fdp(&w->stop_fd);
    pthread_mutex_destroy(&w->lock);
    free(w);
    errno = saved;
    return NULL;
}

/* Signals are for the threads of the program. */
static int start_thread(struct sl_cancel_watch *w, struct sl_error *err)
{
    sigset_t all, before;
    if (w->has_thread)
        return 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->has_thread = r == 0;
    return r ? sl_error_system(err, r, "start a thread") : 0;
}

int sl_cancel_watch_add(struct sl_cancel_watch *w, struct sl_cancel_target *target,
                        struct sl_error *err)
{
    pthread_mutex_lock(&w->lock);
    int r = start_thread(w, err);
    if (r == 0)
        r = add_fd(w, target->fd, target, err);
    if (r == 0) {
        target->next = w->targets;
        w->targets = target;
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

void sl_cancel_watch_remove(struct sl_cancel_watch *w, struct sl_cancel_target *target)
{
    pthread_mutex_lock(&w->lock);
    struct sl_cancel_target **at = find(w, target);
    if (*at)
        forget(w, at);
    pthread_mutex_unlock(&w->lock);
}
