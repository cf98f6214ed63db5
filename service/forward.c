/* SPDX-License-Identifier: Apache-2.0 */
/* A call waits for its answer on a thread of its own, since what it asks for may take minutes; a
 * thread takes the next call that waits and ends when none does. */
#include "forward.h"

#include "crew.h"
#include "sluice/core/clock.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    COURIERS_MAX = 32,           /* calls under way at once */
    CREW_MAX = 2 * COURIERS_MAX, /* also those that are on their way out */
    WAITING_MAX = 1024,          /* calls behind them */
    DEADLINE_DEFAULT_MS = 60000, /* of calls that say none */
};

struct sl_forward {
    struct sl_rpc_client *client;
    struct sl_metrics *metrics;
    struct sl_crew *crew;
    pthread_mutex_t lock; /* guards what follows */
    struct sl_rpc_call *waiting[WAITING_MAX];
    size_t first, n;
    unsigned n_couriers; /* that will look again whether something waits */
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
static struct sl_rpc_call *take(struct sl_forward *f)
{
    struct sl_rpc_call *call = NULL;
    pthread_mutex_lock(&f->lock);
    if (f->n > 0) {
        call = f->waiting[f->first];
        f->first = (f->first + 1) % WAITING_MAX;
        f->n--;
    } else {
        f->n_couriers--;
    }
    pthread_mutex_unlock(&f->lock);
    return call;
}

static void run(void *arg)
{
    struct sl_forward *f = arg;
    for (struct sl_rpc_call *call; (call = take(f));)
        pass_on(f, call);
}

/* False when nobody will ever take the call. */
static bool put(struct sl_forward *f, struct sl_rpc_call *call)
{
    pthread_mutex_lock(&f->lock);
    bool is_taken = f->n < WAITING_MAX;
    if (is_taken) {
        f->waiting[(f->first + f->n++) % WAITING_MAX] = call;
        if (f->n_couriers < COURIERS_MAX && sl_crew_run(f->crew, run, f, /* err= */ NULL) == 0)
            f->n_couriers++;
        if (f->n_couriers == 0) {
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
    int r = sl_crew_new(CREW_MAX, &f->crew, err);
    if (r == 0)
        r = sl_rpc_client_new(SL_RPC_TTRPC, target, /* tls= */ NULL, &f->client, err);
    if (r == 0)
        *ret = sl_steal(&f);
    return r;
}

struct sl_forward *sl_forward_free(struct sl_forward *f)
{
    if (!f)
        return NULL;
    int saved = errno;
    (void)sl_crew_free(f->crew);
    (void)sl_rpc_client_free(f->client);
    pthread_mutex_destroy(&f->lock);
    free(f);
    errno = saved;
    return NULL;
}
