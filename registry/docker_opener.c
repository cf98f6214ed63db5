/* SPDX-License-Identifier: Apache-2.0 */
#include "docker_opener.h"

#include <stdlib.h>

struct sl_docker_opener {
    struct sl_docker_endpoint *ep;
    pthread_t thread;
    struct sl_http_job over; /* posted by the thread as the last thing it does */
    int r;                   /* the thread's until over is posted: */
    struct sl_error err;
    struct sl_docker_waiter *waiters;
};

static void *run_opener(void *arg)
{
    struct sl_docker_opener *opener = arg;
    opener->r = sl_docker_endpoint_open(opener->ep, &opener->err);
    sl_http_loop_post(opener->ep->registry->loop, &opener->over);
    return NULL;
}

static void run_over(struct sl_http_job *job)
{
    struct sl_docker_opener *opener =
        (struct sl_docker_opener *)((char *)job - offsetof(struct sl_docker_opener, over));
    (void)pthread_join(opener->thread, NULL); /* it is on its last lines */
    /* Whoever is told may want to open it again at once. */
    opener->ep->opener = NULL;
    while (opener->waiters) {
        struct sl_docker_waiter *w = opener->waiters;
        sl_docker_waiter_leave(w);
        w->opened(w, opener->r, &opener->err);
    }
    free(opener);
}

/* All signals are blocked on the loop thread, and so on its children. */
static int start_opener(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    struct sl_docker_opener *opener = calloc(1, sizeof(*opener));
    if (!opener)
        return sl_error_oom(err);
    opener->ep = ep;
    opener->over.run = run_over;
    int e = pthread_create(&opener->thread, NULL, run_opener, opener);
    if (e) {
        free(opener);
        return sl_error_system(err, e, "cannot start a thread to reach %s", ep->plan->host);
    }
    ep->opener = opener;
    return 0;
}

int sl_docker_opener_wait(struct sl_docker_endpoint *ep, struct sl_docker_waiter *waiter,
                          struct sl_error *err)
{
    if (sl_docker_endpoint_is_ready(ep))
        return 0;
    int r = ep->opener ? 0 : start_opener(ep, err);
    if (r < 0)
        return r;
    waiter->opener = ep->opener;
    waiter->next = ep->opener->waiters;
    ep->opener->waiters = waiter;
    return -EAGAIN;
}

void sl_docker_waiter_leave(struct sl_docker_waiter *waiter)
{
    if (!waiter->opener)
        return;
    struct sl_docker_waiter **p = &waiter->opener->waiters;
    while (*p != waiter)
        p = &(*p)->next;
    *p = waiter->next;
    waiter->opener = NULL;
}

/* --- at the end of the source --- */

struct joining {
    struct sl_docker_endpoint *ep;
    struct sl_docker_opener *opener;
};

static void run_nothing(struct sl_http_job *job)
{
    (void)job;
}

/* From here on nobody but the joining thread knows of the opener. */
static void take_opener(void *arg)
{
    struct joining *j = arg;
    j->opener = j->ep->opener;
    j->ep->opener = NULL;
    if (j->opener)
        j->opener->over.run = run_nothing;
}

static void forget_job(void *arg)
{
    struct joining *j = arg;
    sl_http_loop_unpost(j->ep->registry->loop, &j->opener->over);
}

void sl_docker_opener_join(struct sl_docker_endpoint *ep)
{
    struct sl_http_loop *loop = ep->registry->loop;
    struct joining j = {.ep = ep};
    sl_http_loop_call(loop, take_opener, &j);
    if (!j.opener)
        return;
    (void)pthread_join(j.opener->thread, NULL);
    sl_http_loop_call(loop, forget_job, &j);
    free(j.opener);
}
