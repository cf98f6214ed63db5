/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_share.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct sl_memory_share {
    struct sl_buf_pool *pool;
    size_t capacity; /* buffers */
    pthread_mutex_t lock;
    struct sl_memory_guest *guests;
    uint64_t tickets;
};

int sl_memory_share_new(struct sl_buf_pool *pool, struct sl_memory_share **ret,
                        struct sl_error *err)
{
    struct sl_memory_share *share = calloc(1, sizeof(*share));
    if (!share)
        return sl_error_oom(err);
    share->pool = pool;
    share->capacity = sl_buf_pool_spare(pool);
    pthread_mutex_init(&share->lock, NULL);
    *ret = share;
    return 0;
}

struct sl_memory_share *sl_memory_share_free(struct sl_memory_share *share)
{
    if (!share)
        return NULL;
    pthread_mutex_destroy(&share->lock);
    free(share);
    return NULL;
}

/* ---- whose turn it is; under the lock ---- */

static bool is_before(const struct sl_memory_guest *a, const struct sl_memory_guest *b)
{
    return a->n_shares != b->n_shares ? a->n_shares < b->n_shares : a->ticket < b->ticket;
}

static struct sl_memory_guest *next_guest(const struct sl_memory_share *share)
{
    struct sl_memory_guest *best = NULL;
    for (struct sl_memory_guest *g = share->guests; g; g = g->next)
        if (g->wanted && (!best || is_before(g, best)))
            best = g;
    return best;
}

/* After every change: whoever was told and came in vain is told again. A turn is passed on by the
 * guest that has it: it takes, withdraws or leaves. */
static void tell_next(struct sl_memory_share *share)
{
    const uint64_t one = 1;
    const struct sl_memory_guest *next = next_guest(share);
    if (!next || next->wanted > sl_buf_pool_spare(share->pool))
        return;
    ssize_t n = write(next->event_fd, &one, sizeof(one));
    (void)n;
}

/* ---- guests ---- */

void sl_memory_join(struct sl_memory_share *share, struct sl_memory_guest *guest, int event_fd)
{
    *guest = (struct sl_memory_guest){.share = share, .event_fd = event_fd};
    pthread_mutex_lock(&share->lock);
    guest->next = share->guests;
    share->guests = guest;
    pthread_mutex_unlock(&share->lock);
}

void sl_memory_leave(struct sl_memory_guest *guest)
{
    struct sl_memory_share *share = guest->share;
    if (!share)
        return;
    pthread_mutex_lock(&share->lock);
    struct sl_memory_guest **at = &share->guests;
    while (*at != guest)
        at = &(*at)->next;
    *at = guest->next;
    tell_next(share);
    pthread_mutex_unlock(&share->lock);
    guest->share = NULL;
}

static void close_lanes(struct sl_buf_lane **lanes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lanes[i] = sl_buf_lane_close(lanes[i]);
}

static int open_lanes(struct sl_memory_share *share, const size_t *counts, size_t n,
                      struct sl_buf_lane **lanes, struct sl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        int r = sl_buf_lane_open(share->pool, counts[i], &lanes[i], err);
        if (r < 0) {
            close_lanes(lanes, i);
            return r;
        }
    }
    return 0;
}

static void wait_in_line(struct sl_memory_guest *guest, size_t wanted)
{
    if (!guest->wanted)
        guest->ticket = ++guest->share->tickets;
    guest->wanted = wanted;
}

static int take(struct sl_memory_guest *guest, const size_t *counts, size_t n, size_t wanted,
                struct sl_buf_lane **lanes, struct sl_error *err)
{
    wait_in_line(guest, wanted);
    if (next_guest(guest->share) != guest)
        return -EAGAIN;
    int r = open_lanes(guest->share, counts, n, lanes, err);
    if (r == -EAGAIN)
        return r;
    guest->wanted = 0;
    if (r == 0)
        guest->n_shares++;
    tell_next(guest->share);
    return r;
}

int sl_memory_take(struct sl_memory_guest *guest, const size_t *counts, size_t n,
                   struct sl_buf_lane **lanes, struct sl_error *err)
{
    struct sl_memory_share *share = guest->share;
    size_t wanted = 0;
    for (size_t i = 0; i < n; i++)
        wanted += counts[i];
    if (wanted > share->capacity)
        return sl_error_set(err, SL_E_LIMIT, ENOMEM, "the memory limit is too small for one layer");
    pthread_mutex_lock(&share->lock);
    int r = take(guest, counts, n, wanted, lanes, err);
    pthread_mutex_unlock(&share->lock);
    return r;
}

void sl_memory_give(struct sl_memory_guest *guest, struct sl_buf_lane **lanes, size_t n)
{
    struct sl_memory_share *share = guest->share;
    if (!lanes[0])
        return;
    pthread_mutex_lock(&share->lock);
    close_lanes(lanes, n);
    guest->n_shares--;
    tell_next(share);
    pthread_mutex_unlock(&share->lock);
}

void sl_memory_withdraw(struct sl_memory_guest *guest)
{
    struct sl_memory_share *share = guest->share;
    pthread_mutex_lock(&share->lock);
    if (guest->wanted) {
        guest->wanted = 0;
        tell_next(share);
    }
    pthread_mutex_unlock(&share->lock);
}
