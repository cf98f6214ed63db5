/* SPDX-License-Identifier: Apache-2.0 */
#include "call_queue.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAITING_MAX = 1024 }; /* calls; the server's own limit is not above it */

struct answerer {
    struct sl_task task;
    struct sl_call_queue *queue;
};

struct sl_call_queue {
    struct sl_worker_pool *workers;
    sl_call_fn *answer;
    void *arg;
    pthread_mutex_t lock; /* guards the ring of waiting calls */
    struct sl_rpc_call *waiting[WAITING_MAX];
    size_t first, n;
    struct answerer *answerers; /* one for each worker */
    size_t n_answerers, turn;   /* turn: the server's thread */
};

static struct sl_rpc_call *take(struct sl_call_queue *q)
{
    struct sl_rpc_call *call = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->n > 0) {
        call = q->waiting[q->first];
        q->first = (q->first + 1) % WAITING_MAX;
        q->n--;
    }
    pthread_mutex_unlock(&q->lock);
    return call;
}

static bool put(struct sl_call_queue *q, struct sl_rpc_call *call)
{
    pthread_mutex_lock(&q->lock);
    bool has_room = q->n < WAITING_MAX;
    if (has_room)
        q->waiting[(q->first + q->n++) % WAITING_MAX] = call;
    pthread_mutex_unlock(&q->lock);
    return has_room;
}

static void run(struct sl_task *task)
{
    struct sl_call_queue *q = ((struct answerer *)task)->queue;
    for (struct sl_rpc_call *call; (call = take(q));) {
        /* Whoever ends the queue would wait for a silent broker once for each call. */
        if (sl_rpc_call_is_abandoned(call))
            sl_rpc_call_refuse(call, SL_RPC_CANCELLED, "nobody waits for the answer any more");
        else
            q->answer(q->arg, call);
    }
}

void sl_call_queue_add(void *arg, struct sl_rpc_call *call)
{
    struct sl_call_queue *q = arg;
    if (!put(q, call)) {
        sl_rpc_call_refuse(call, SL_RPC_RESOURCE_EXHAUSTED, "too many calls; try again later");
        return;
    }
    /* Whichever answerer is woken, it goes on until nothing waits. */
    sl_task_wake(&q->answerers[q->turn++ % q->n_answerers].task);
}

int sl_call_queue_new(unsigned threads, sl_call_fn *answer, void *arg, struct sl_call_queue **ret,
                      struct sl_error *err)
{
    struct sl_call_queue *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    pthread_mutex_init(&alloc->lock, NULL);
    SL_AUTO(sl_call_queue) q = alloc;
    q->answer = answer;
    q->arg = arg;
    int r = sl_worker_pool_new(threads, &q->workers, err);
    if (r < 0)
        return r;
    size_t n = sl_worker_pool_threads(q->workers);
    q->answerers = calloc(n, sizeof(*q->answerers));
    if (!q->answerers)
        return sl_error_oom(err);
    q->n_answerers = n;
    for (size_t i = 0; i < n; i++) {
        q->answerers[i].queue = q;
        sl_task_init(&q->answerers[i].task, q->workers, run);
    }
    *ret = sl_steal(&q);
    return 0;
}

struct sl_call_queue *sl_call_queue_free(struct sl_call_queue *q)
{
    if (!q)
        return NULL;
    (void)sl_worker_pool_free(q->workers);
    free(q->answerers);
    pthread_mutex_destroy(&q->lock);
    free(q);
    return NULL;
}
