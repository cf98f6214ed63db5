/* SPDX-License-Identifier: Apache-2.0 */
/* A call waits for its answer on a thread of its own, since what it asks for may take minutes; a
 * thread takes the next call that waits and ends when none does. */
#include "forward.h"

#include "sluice/core/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 32,           /* calls under way at once */
    WAITING_MAX = 1024,         /* calls behind them */
    DEADLINE_DEFAULT_MS = 60000 /* of calls that say none */
};

struct courier {
    enum { COURIER_NONE, COURIER_RUNS, COURIER_ENDS } state; /* ENDS: to be joined */
    pthread_t thread;
    struct sl_forward *forward;
};

struct sl_forward {
    struct sl_rpc_client *client;
    struct sl_metrics *metrics;
    pthread_mutex_t lock; /* guards what follows */
    struct sl_rpc_call *waiting[WAITING_MAX];
    size_t first, n;
    struct courier couriers[THREADS_MAX];
};

/* ---- one call ---- */

static int deadline_of(const struct sl_rpc_call *call)
{
    int64_t deadline = sl_rpc_call_deadline(call);
    return deadline ? sl_clock_remaining_ms(deadline) : DEADLINE_DEFAULT_MS;
}

/* In the words of the hub that these calls were meant for. */
static void refuse(struct sl_rpc_call *call, const struct sl_error *err)
{
    enum sl_rpc_status status = SL_RPC_UNAVAILABLE;
    if (err->code == SL_E_CANCELLED)
        status = SL_RPC_CANCELLED;
    else if (err->code == SL_E_NETWORK && err->errnum == ETIMEDOUT)
        status = SL_RPC_DEADLINE_EXCEEDED;
    SL_AUTO_FREE char *text =
        sl_strf("[CDH] [ERROR]: %s/%s could not be passed on to the upstream hub: %s",
                sl_rpc_call_service(call), sl_rpc_call_method(call), err->msg);
    sl_rpc_call_refuse(call, status, text ? text : "[CDH] [ERROR]: out of memory");
}

static void pass_on(struct sl_forward *f, struct sl_rpc_call *call)
{
    SL_AUTO_DONE(sl_rpc_reply) reply = {0};
    struct sl_error err = {0};
    int r = sl_rpc_call_forward(call, f->client, deadline_of(call), &reply, &err);
    if (f->metrics)
        sl_metrics_count_forward(f->metrics, r == 0);
    if (r < 0)
        refuse(call, &err);
    else
        sl_rpc_call_relay(call, &reply);
}

/* ---- couriers ---- */

/* The next call, or the end of this courier: both are decided at once, so that no call is left to
 * a courier who has looked already. */
static struct sl_rpc_call *take(struct courier *courier)
{
    struct sl_forward *f = courier->forward;
    struct sl_rpc_call *call = NULL;
    pthread_mutex_lock(&f->lock);
    if (f->n > 0) {
        call = f->waiting[f->first];
        f->first = (f->first + 1) % WAITING_MAX;
        f->n--;
    } else {
        courier->state = COURIER_ENDS;
    }
    pthread_mutex_unlock(&f->lock);
    return call;
}

static void *run(void *arg)
{
    struct courier *courier = arg;
    for (struct sl_rpc_call *call; (call = take(courier));)
        pass_on(courier->forward, call);
    return NULL;
}

/* One that is free; whoever ends is through, and joined without waiting. The lock is held. */
static struct courier *find_free(struct sl_forward *f)
{
    struct courier *found = NULL;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct courier *courier = &f->couriers[i];
        if (courier->state == COURIER_ENDS) {
            pthread_join(courier->thread, NULL);
            courier->state = COURIER_NONE;
        }
        if (courier->state == COURIER_NONE && !found)
            found = courier;
    }
    return found;
}

static bool start(struct courier *courier)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&courier->thread, NULL, run, courier);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        courier->state = COURIER_RUNS;
    return r == 0;
}

static bool has_courier(const struct sl_forward *f)
{
    for (size_t i = 0; i < THREADS_MAX; i++)
        if (f->couriers[i].state == COURIER_RUNS)
            return true;
    return false;
}

/* False when nobody will ever take the call. */
static bool put(struct sl_forward *f, struct sl_rpc_call *call)
{
    pthread_mutex_lock(&f->lock);
    bool is_taken = f->n < WAITING_MAX;
    if (is_taken) {
        f->waiting[(f->first + f->n++) % WAITING_MAX] = call;
        struct courier *courier = find_free(f);
        if (!(courier && start(courier)) && !has_courier(f)) {
            f->n--;
            is_taken = false;
        }
    }
    pthread_mutex_unlock(&f->lock);
    return is_taken;
}

void sl_forward_handle(void *forward, struct sl_rpc_call *call)
{
    if (!put(forward, call))
        sl_rpc_call_refuse(call, SL_RPC_RESOURCE_EXHAUSTED,
                           "[CDH] [ERROR]: too many calls to the upstream hub; try again later");
}

/* ---- the whole ---- */

int sl_forward_new(const char *target, struct sl_metrics *metrics, struct sl_forward **ret,
                   struct sl_error *err)
{
    struct sl_forward *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    pthread_mutex_init(&alloc->lock, NULL);
    SL_AUTO(sl_forward) f = alloc;
    f->metrics = metrics;
    for (size_t i = 0; i < THREADS_MAX; i++)
        f->couriers[i].forward = f;
    int r = sl_rpc_client_new(SL_RPC_TTRPC, target, /* tls= */ NULL, &f->client, err);
    if (r == 0)
        *ret = sl_steal(&f);
    return r;
}

struct sl_forward *sl_forward_free(struct sl_forward *f)
{
    if (!f)
        return NULL;
    int saved = errno;
    for (size_t i = 0; i < THREADS_MAX; i++) {
        struct courier *courier = &f->couriers[i];
        pthread_mutex_lock(&f->lock);
        bool has_thread = courier->state != COURIER_NONE;
        pthread_mutex_unlock(&f->lock);
        if (has_thread)
            pthread_join(courier->thread, NULL);
    }
    (void)sl_rpc_client_free(f->client);
    pthread_mutex_destroy(&f->lock);
    free(f);
    errno = saved;
    return NULL;
}
