/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/pgp_watch.h"

#include "sluice/core/pgp_dir.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { AGAIN_MS = 200 };

struct sl_pgp_watch {
    gpgme_ctx_t ctx;
    const char *dir;
    int deadline_ms;
    pthread_t thread;
    pthread_mutex_t mutex; /* of all below */
    pthread_cond_t changed;
    bool is_over;
    bool has_expired;
};

/* With the lock. True: it is over. */
static bool wait_for_end(struct sl_pgp_watch *watch, int ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    int e = 0;
    while (!watch->is_over && e != ETIMEDOUT)
        e = pthread_cond_clockwait(&watch->changed, &watch->mutex, CLOCK_MONOTONIC, &until);
    return watch->is_over;
}

/* Again and again: gpgme may just be about to start the next program, or forget that it was
 * cancelled since it starts another operation. */
static void *keep_watch(void *arg)
{
    struct sl_pgp_watch *watch = arg;
    pthread_mutex_lock(&watch->mutex);
    for (int ms = watch->deadline_ms; !wait_for_end(watch, ms); ms = AGAIN_MS) {
        watch->has_expired = true;
        (void)gpgme_cancel_async(watch->ctx);
        sl_pgp_dir_kill(watch->dir);
    }
    pthread_mutex_unlock(&watch->mutex);
    return NULL;
}

int sl_pgp_watch_new(gpgme_ctx_t ctx, const char *dir, int deadline_ms, struct sl_pgp_watch **ret,
                     struct sl_error *err)
{
    struct sl_pgp_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return sl_error_oom(err);
    watch->ctx = ctx;
    watch->dir = dir;
    watch->deadline_ms = deadline_ms;
    pthread_mutex_init(&watch->mutex, NULL);
    pthread_cond_init(&watch->changed, NULL);
    int e = pthread_create(&watch->thread, NULL, keep_watch, watch);
    if (e) {
        free(watch);
        return sl_error_system(err, e, "a thread that watches gpg");
    }
    *ret = watch;
    return 0;
}

struct sl_pgp_watch *sl_pgp_watch_free(struct sl_pgp_watch *watch)
{
    if (!watch)
        return NULL;
    pthread_mutex_lock(&watch->mutex);
    watch->is_over = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->mutex);
    pthread_cond_destroy(&watch->changed);
    free(watch);
    return NULL;
}

bool sl_pgp_watch_has_expired(struct sl_pgp_watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    bool has_expired = watch->has_expired;
    pthread_mutex_unlock(&watch->mutex);
    return has_expired;
}
