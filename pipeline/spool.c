/* SPDX-License-Identifier: Apache-2.0 */
#include "spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct sl_spool {
    struct sl_task task; /* first: reads for the second flow */
    int fd;
    uint64_t written, fed;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    bool ended;
};

int sl_spool_new(int dirfd, struct sl_spool **ret, struct sl_error *err)
{
    SL_AUTO(sl_spool) spool = calloc(1, sizeof(*spool));
    if (!spool)
        return sl_error_oom(err);
    spool->fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->fd < 0)
        return sl_error_system(err, errno, "spool file");
    *ret = sl_steal(&spool);
    return 0;
}

struct sl_spool *sl_spool_free(struct sl_spool *spool)
{
    if (!spool)
        return NULL;
    if (spool->flow)
        sl_task_wait_idle(&spool->task);
    sl_cleanup_fdp(&spool->fd);
    free(spool);
    return NULL;
}

/* ---- writing ---- */

struct spool_stage {
    struct sl_stage stage;
    struct sl_spool *spool;
};

static int spool_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct sl_spool *spool = ((struct spool_stage *)stage)->spool;
    while ((*bufp)->len) {
        struct sl_span s = sl_buf_span(*bufp);
        ssize_t n = pwrite(spool->fd, s.data, s.len, (off_t)spool->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "writing the blob to the store");
        spool->written += (uint64_t)n;
        sl_buf_consume(*bufp, (size_t)n);
    }
    sl_buf_release(bufp);
    return 0;
}

static int spool_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage;
    (void)err;
    return 0;
}

static void spool_close(struct sl_stage *stage)
{
    free(stage);
}

static const struct sl_stage_ops spool_ops = {
    .name = "spool",
    .phase = SL_PHASE_CIPHER,
    .push = spool_push,
    .finish = spool_finish,
    .close = spool_close,
};

int sl_stage_spool_new(struct sl_spool *spool, struct sl_stage **ret, struct sl_error *err)
{
    struct spool_stage *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->stage.ops = &spool_ops;
    s->spool = spool;
    *ret = &s->stage;
    return 0;
}

/* ---- reading ---- */

static void end_flow(struct sl_spool *spool, int r, const struct sl_error *err)
{
    spool->ended = true;
    sl_flow_end(spool->flow, r, err);
}

/* Fills one buffer: its length, 0 at the end, or a failure. */
static int read_some(struct sl_spool *spool, struct sl_buf *buf, struct sl_error *err)
{
    uint64_t left = spool->written - spool->fed;
    size_t want = left < buf->cap ? (size_t)left : buf->cap;
    while (buf->len < want) {
        ssize_t n = pread(spool->fd, buf->data + buf->len, want - buf->len, (off_t)spool->fed);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "reading the blob from the store");
        if (n == 0)
            return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "the blob in the store was cut");
        buf->len += (size_t)n;
        spool->fed += (uint64_t)n;
    }
    return (int)buf->len;
}

/* One turn: as many buffers as there are. The lane wakes us when some come home. */
static void spool_run(struct sl_task *task)
{
    struct sl_spool *spool = (struct sl_spool *)task;
    struct sl_error err = {0};
    while (!spool->ended) {
        if (sl_flow_has_failed(spool->flow)) {
            end_flow(spool, sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "stopped"), &err);
            return;
        }
        struct sl_buf *buf = sl_buf_acquire(spool->lane);
        if (!buf)
            return;
        int r = read_some(spool, buf, &err);
        if (r > 0)
            sl_flow_feed(spool->flow, &buf);
        sl_buf_release(&buf);
        if (r <= 0)
            end_flow(spool, r, &err);
    }
}

void sl_spool_wake(struct sl_spool *spool)
{
    if (spool->flow)
        sl_task_wake(&spool->task);
}

static void on_buffer_home(void *arg)
{
    sl_spool_wake(arg);
}

void sl_spool_feed(struct sl_spool *spool, struct sl_worker_pool *workers, struct sl_buf_lane *lane,
                   struct sl_flow *flow)
{
    spool->lane = lane;
    spool->flow = flow;
    sl_task_init(&spool->task, workers, spool_run);
    sl_buf_lane_set_waker(lane, on_buffer_home, spool);
    sl_spool_wake(spool);
}
