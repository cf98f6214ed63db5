/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/buf.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct sl_buf_pool {
    pthread_mutex_t lock;
    uint8_t *memory;
    size_t mapped;
    struct sl_buf *bufs;
    struct sl_buf *spare; /* not reserved by any lane */
    size_t n_bufs, n_spare, low_spare;
};

struct sl_buf_lane {
    struct sl_buf_pool *pool;
    pthread_mutex_t lock;
    struct sl_buf *home; /* last in, first out: the warmest buffer is used next */
    size_t n_bufs, n_home;
    bool starved; /* somebody came for a buffer in vain */
    void (*waker)(void *arg);
    void *waker_arg;
    struct sl_trace *trace; /* NULL: nobody looks */
    const char *trace_name;
    uint32_t trace_layer;
};

int sl_buf_pool_new(size_t bytes, struct sl_buf_pool **ret, struct sl_error *err)
{
    size_t n = bytes / SL_BUF_SIZE;
    if (n == 0)
        return sl_error_set(err, SL_E_LIMIT, EINVAL,
                            "memory of %zu bytes is less than a buffer (%d)", bytes, SL_BUF_SIZE);
    struct sl_buf_pool *pool = calloc(1, sizeof(*pool));
    struct sl_buf *bufs = calloc(n, sizeof(*bufs));
    void *memory = mmap(NULL, n * SL_BUF_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!pool || !bufs || memory == MAP_FAILED) {
        free(pool);
        free(bufs);
        if (memory != MAP_FAILED)
            (void)munmap(memory, n * SL_BUF_SIZE);
        return sl_error_oom(err);
    }
    /* Plain text and image content stay out of core dumps. */
    (void)madvise(memory, n * SL_BUF_SIZE, MADV_DONTDUMP);
    *pool = (struct sl_buf_pool){.memory = memory,
                                 .mapped = n * SL_BUF_SIZE,
                                 .bufs = bufs,
                                 .n_bufs = n,
                                 .n_spare = n,
                                 .low_spare = n};
    pthread_mutex_init(&pool->lock, NULL);
    for (size_t i = n; i-- > 0;) {
        bufs[i] = (struct sl_buf){
            .data = pool->memory + i * SL_BUF_SIZE, .cap = SL_BUF_SIZE, .next = pool->spare};
        pool->spare = &bufs[i];
    }
    *ret = pool;
    return 0;
}

struct sl_buf_pool *sl_buf_pool_free(struct sl_buf_pool *pool)
{
    if (!pool)
        return NULL;
    int saved = errno;
    (void)munmap(pool->memory, pool->mapped);
    pthread_mutex_destroy(&pool->lock);
    free(pool->bufs);
    free(pool);
    errno = saved;
    return NULL;
}

size_t sl_buf_pool_spare(struct sl_buf_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t n = pool->n_spare;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

size_t sl_buf_pool_peak(struct sl_buf_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    size_t n = pool->n_bufs - pool->low_spare;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

size_t sl_buf_pool_total(const struct sl_buf_pool *pool)
{
    return pool->n_bufs;
}

void sl_buf_pool_trim(struct sl_buf_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    for (struct sl_buf *buf = pool->spare; buf; buf = buf->next) {
        if (buf->is_touched)
            (void)madvise(buf->data, buf->cap, MADV_DONTNEED);
        buf->is_touched = false;
    }
    pthread_mutex_unlock(&pool->lock);
}

int sl_buf_lane_open(struct sl_buf_pool *pool, size_t count, struct sl_buf_lane **ret,
                     struct sl_error *err)
{
    struct sl_buf_lane *lane = calloc(1, sizeof(*lane));
    if (!lane)
        return sl_error_oom(err);
    pthread_mutex_lock(&pool->lock);
    if (pool->n_spare < count) {
        pthread_mutex_unlock(&pool->lock);
        free(lane);
        return -EAGAIN;
    }
    *lane = (struct sl_buf_lane){.pool = pool, .n_bufs = count, .n_home = count};
    for (size_t i = 0; i < count; i++) {
        struct sl_buf *buf = pool->spare;
        pool->spare = buf->next;
        buf->next = lane->home;
        buf->lane = lane;
        lane->home = buf;
    }
    pool->n_spare -= count;
    if (pool->n_spare < pool->low_spare)
        pool->low_spare = pool->n_spare;
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_init(&lane->lock, NULL);
    *ret = lane;
    return 0;
}

size_t sl_buf_lane_widen(struct sl_buf_lane *lane, size_t count)
{
    struct sl_buf_pool *pool = lane->pool;
    struct sl_buf *taken = NULL, *last = NULL;
    pthread_mutex_lock(&pool->lock);
    if (count > pool->n_spare / 2)
        count = pool->n_spare / 2;
    for (size_t i = 0; i < count; i++) {
        struct sl_buf *buf = pool->spare;
        pool->spare = buf->next;
        buf->next = taken;
        buf->lane = lane;
        last = last ? last : buf;
        taken = buf;
    }
    pool->n_spare -= count;
    if (pool->n_spare < pool->low_spare)
        pool->low_spare = pool->n_spare;
    pthread_mutex_unlock(&pool->lock);
    if (!taken)
        return 0;
    pthread_mutex_lock(&lane->lock);
    last->next = lane->home;
    lane->home = taken;
    lane->n_bufs += count;
    lane->n_home += count;
    pthread_mutex_unlock(&lane->lock);
    return count;
}

void sl_buf_lane_set_waker(struct sl_buf_lane *lane, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&lane->lock);
    lane->waker = fn;
    lane->waker_arg = arg;
    pthread_mutex_unlock(&lane->lock);
}

void sl_buf_lane_set_trace(struct sl_buf_lane *lane, struct sl_trace *trace, const char *name,
                           uint32_t layer)
{
    lane->trace = trace;
    lane->trace_name = name;
    lane->trace_layer = layer;
}

/* Under the lane's lock, so that counts are in order. */
static void trace_count(const struct sl_buf_lane *lane)
{
    if (__builtin_expect(lane->trace != NULL, 0))
        sl_trace_add(lane->trace, &(struct sl_trace_event){.kind = SL_TRACE_COUNT,
                                                           .name = lane->trace_name,
                                                           .start_ns = sl_clock_ns(),
                                                           .amount = lane->n_bufs - lane->n_home,
                                                           .layer = lane->trace_layer});
}

struct sl_buf_lane *sl_buf_lane_close(struct sl_buf_lane *lane)
{
    if (!lane)
        return NULL;
    struct sl_buf_pool *pool = lane->pool;
    /* A buffer still out would be a use after free later: better to stop here. */
    if (lane->n_home != lane->n_bufs)
        abort();
    pthread_mutex_lock(&pool->lock);
    while (lane->home) {
        struct sl_buf *buf = lane->home;
        lane->home = buf->next;
        buf->lane = NULL;
        buf->next = pool->spare;
        pool->spare = buf;
    }
    pool->n_spare += lane->n_bufs;
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_destroy(&lane->lock);
    free(lane);
    return NULL;
}

struct sl_buf *sl_buf_acquire(struct sl_buf_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    struct sl_buf *buf = lane->home;
    if (buf) {
        lane->home = buf->next;
        lane->n_home--;
        trace_count(lane);
    }
    lane->starved = !buf;
    pthread_mutex_unlock(&lane->lock);
    if (buf) {
        buf->next = NULL;
        buf->off = buf->len = 0;
        buf->is_touched = true;
    }
    return buf;
}

void sl_buf_release(struct sl_buf **bufp)
{
    struct sl_buf *buf = sl_steal(bufp);
    if (!buf)
        return;
    struct sl_buf_lane *lane = buf->lane;
    pthread_mutex_lock(&lane->lock);
    buf->next = lane->home;
    lane->home = buf;
    lane->n_home++;
    trace_count(lane);
    /* Called under the lock, so that the lane cannot be closed between the two. */
    if (lane->starved && lane->waker) {
        lane->starved = false;
        lane->waker(lane->waker_arg);
    }
    pthread_mutex_unlock(&lane->lock);
}
