/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever goes joins the one who went before, and the last one is joined with the crew: so at its
 * end also what libraries keep for each thread is freed, which happens after fn. */
#include "crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

struct sl_crew {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t gone;  /* n has become 0 */
    unsigned n, max;
    bool has_last;
    pthread_t last; /* the one that went last, to be joined */
};

struct errand {
    struct sl_crew *crew;
    void (*fn)(void *arg);
    void *arg;
};

/* Locked. */
static void count_out(struct sl_crew *crew)
{
    if (--crew->n == 0)
        pthread_cond_broadcast(&crew->gone);
}

static void leave(struct sl_crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool has_before = crew->has_last;
    pthread_t before = crew->last;
    crew->last = pthread_self();
    crew->has_last = true;
    count_out(crew);
    /* The last that this thread does with the crew: whoever frees it takes the lock first. */
    pthread_mutex_unlock(&crew->lock);
    if (has_before)
        (void)pthread_join(before, NULL);
}

static void *run(void *arg)
{
    struct errand errand = *(struct errand *)arg;
    free(arg);
    errand.fn(errand.arg);
    leave(errand.crew);
    return NULL;
}

static int start(struct errand *errand)
{
    pthread_t thread;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&thread, /* attr= */ NULL, run, errand);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return errnum;
}

static int enter(struct sl_crew *crew, struct sl_error *err)
{
    pthread_mutex_lock(&crew->lock);
    bool has_room = crew->n < crew->max;
    crew->n += has_room;
    pthread_mutex_unlock(&crew->lock);
    return has_room
               ? 0
               : sl_error_set(err, SL_E_LIMIT, EAGAIN,
                              "%u requests are being served already; try again later", crew->max);
}

int sl_crew_run(struct sl_crew *crew, void (*fn)(void *arg), void *arg, struct sl_error *err)
{
    SL_AUTO_FREE struct errand *errand = malloc(sizeof(*errand));
    if (!errand)
        return sl_error_oom(err);
    *errand = (struct errand){crew, fn, arg};
    int r = enter(crew, err);
    if (r < 0)
        return r;
    int errnum = start(errand);
    if (errnum) {
        pthread_mutex_lock(&crew->lock);
        count_out(crew);
        pthread_mutex_unlock(&crew->lock);
        return sl_error_system(err, errnum, "starting a thread");
    }
    (void)sl_steal(&errand); /* the thread's */
    return 0;
}

int sl_crew_new(unsigned max_threads, struct sl_crew **ret, struct sl_error *err)
{
    struct sl_crew *crew = calloc(1, sizeof(*crew));
    if (!crew)
        return sl_error_oom(err);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->gone, NULL);
    crew->max = max_threads;
    *ret = crew;
    return 0;
}

struct sl_crew *sl_crew_free(struct sl_crew *crew)
{
    if (!crew)
        return NULL;
    pthread_mutex_lock(&crew->lock);
    while (crew->n > 0)
        pthread_cond_wait(&crew->gone, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    if (crew->has_last)
        (void)pthread_join(crew->last, NULL);
    pthread_mutex_destroy(&crew->lock);
    pthread_cond_destroy(&crew->gone);
    free(crew);
    return NULL;
}
