/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk memory: one pool of equal, page-aligned buffers is the memory limit of the process.
 *
 * A layer reserves its share when it starts: a lane, a fixed number of buffers that travel from
 * the lane to a producer, along the stages, and home again. Because a lane is reserved whole,
 * layers cannot starve one another and the flow cannot deadlock on memory.
 *
 * A buffer has one owner. "struct sl_buf **" in a signature gives it away: the callee sets it to
 * NULL when it has taken it. "struct sl_span" lends. There are no reference counts.
 */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/trace.h"

struct sl_buf_pool;
struct sl_buf_lane;

struct sl_buf {
    uint8_t *data; /* cap bytes */
    size_t cap;
    size_t off;               /* first byte not yet consumed */
    size_t len;               /* bytes from off */
    struct sl_buf *next;      /* for the list of the current owner */
    struct sl_buf_lane *lane; /* home */
    bool is_touched;          /* lent since the pool was last trimmed */
};

enum {
    SL_BUF_SIZE = 256 * 1024,
    SL_BUF_POOL_DEFAULT = 64 * 1024 * 1024,
};

/* bytes is rounded down to whole buffers of SL_BUF_SIZE. Memory is touched only when used. */
SL_MUST_CHECK int sl_buf_pool_new(size_t bytes, struct sl_buf_pool **ret, struct sl_error *err);
/* Every lane must have been closed. */
struct sl_buf_pool *sl_buf_pool_free(struct sl_buf_pool *pool);
SL_DEFINE_AUTO(sl_buf_pool, sl_buf_pool_free)
/* Buffers nobody has reserved, and the largest number ever reserved at once. Any thread. */
size_t sl_buf_pool_spare(struct sl_buf_pool *pool);
size_t sl_buf_pool_peak(struct sl_buf_pool *pool);
/* Of them all. */
size_t sl_buf_pool_total(const struct sl_buf_pool *pool);
/* Gives the memory of buffers that nobody has reserved back to the system. Any thread. */
void sl_buf_pool_trim(struct sl_buf_pool *pool);

/* Reserves count buffers; -EAGAIN (err not set) when the pool has not that many to spare now. */
SL_MUST_CHECK int sl_buf_lane_open(struct sl_buf_pool *pool, size_t count, struct sl_buf_lane **ret,
                                   struct sl_error *err);
/* Adds at most count buffers to the lane, and no more than half of what the pool has to spare now,
 * so that others can still start; answers how many. They leave the lane when it is closed. Any
 * thread. */
size_t sl_buf_lane_widen(struct sl_buf_lane *lane, size_t count);
/* Whom to call when a buffer comes home after sl_buf_acquire() found none. fn runs on the thread
 * that released the buffer, must not block, and may be called without need. */
void sl_buf_lane_set_waker(struct sl_buf_lane *lane, void (*fn)(void *arg), void *arg);
/* From here on it is recorded how many of the lane's buffers are out. name: a literal; the trace is
 * borrowed, NULL: nothing is. Before the lane is used. */
void sl_buf_lane_set_trace(struct sl_buf_lane *lane, struct sl_trace *trace, const char *name,
                           uint32_t layer);
/* All buffers must be home. */
struct sl_buf_lane *sl_buf_lane_close(struct sl_buf_lane *lane);
SL_DEFINE_AUTO(sl_buf_lane, sl_buf_lane_close)

/* An empty buffer, or NULL when all are out: the waker will be called. Any thread. */
struct sl_buf *sl_buf_acquire(struct sl_buf_lane *lane);
/* Sends *bufp home and sets it to NULL. Accepts a NULL buffer. Any thread. */
void sl_buf_release(struct sl_buf **bufp);

static inline struct sl_span sl_buf_span(const struct sl_buf *buf)
{
    return (struct sl_span){buf->data + buf->off, buf->len};
}
static inline void sl_buf_consume(struct sl_buf *buf, size_t n)
{
    buf->off += n;
    buf->len -= n;
}
/* Free room behind the content. */
static inline size_t sl_buf_room(const struct sl_buf *buf)
{
    return buf->cap - buf->off - buf->len;
}
