/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_stage.h"

#include <string.h>

int sl_bench_lanes_open(size_t n_in, size_t n_out, struct sl_bench_lanes *ret, struct sl_error *err)
{
    struct sl_bench_lanes b = {0};
    int r = sl_buf_pool_new((n_in + n_out) * SL_BUF_SIZE, &b.pool, err);
    if (r == 0 && n_in)
        r = sl_buf_lane_open(b.pool, n_in, &b.in, err);
    if (r == 0 && n_out)
        r = sl_buf_lane_open(b.pool, n_out, &b.out, err);
    if (r < 0) {
        sl_bench_lanes_done(&b);
        return r;
    }
    *ret = b;
    return 0;
}

void sl_bench_lanes_done(struct sl_bench_lanes *b)
{
    b->in = sl_buf_lane_close(b->in);
    b->out = sl_buf_lane_close(b->out);
    b->pool = sl_buf_pool_free(b->pool);
}

int sl_bench_push_all(struct sl_bench_lanes *b, struct sl_stage *stage, struct sl_span bytes,
                      size_t piece, struct sl_error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < bytes.len;) {
        struct sl_buf *buf = sl_buf_acquire(b->in);
        size_t room = piece && piece < buf->cap ? piece : buf->cap;
        buf->len = bytes.len - at < room ? bytes.len - at : room;
        memcpy(buf->data, bytes.data + at, buf->len);
        at += buf->len;
        r = sl_stage_push(stage, &buf, err);
        sl_buf_release(&buf);
    }
    return r ? r : sl_stage_finish(stage, err);
}
