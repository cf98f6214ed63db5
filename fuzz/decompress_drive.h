/* SPDX-License-Identifier: Apache-2.0 */
/* Pushes bytes through the decompression stage at cuts that the input itself decides. For the
 * fuzz targets of its formats. */
#pragma once

#include "sluice/decompress.h"

#include <stdlib.h>
#include <string.h>

enum {
    DRIVE_OUTPUT_MAX = 4 * 1024 * 1024, /* more is a limit, not a finding */
    DRIVE_IN_BUFFERS = 2,
    DRIVE_OUT_BUFFERS = 2,
};

#define DRIVE_DEMAND(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

struct drive_sink {
    struct sl_stage stage;
    struct sl_bytes *out;
};

static int drive_sink_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct drive_sink *sink = (struct drive_sink *)stage;
    int r = sl_bytes_append(sink->out, sl_buf_span(*bufp), 2 * DRIVE_OUTPUT_MAX, err);
    sl_buf_release(bufp);
    return r;
}

static const struct sl_stage_ops drive_sink_ops = {
    .name = "sink", .phase = SL_PHASE_TREE, .push = drive_sink_push};

/* A cut between 1 byte and all: short ones early, where headers are. */
static size_t drive_cut(unsigned *seed, size_t len)
{
    *seed = *seed * 1664525u + 1013904223u;
    size_t n = 1 + (*seed >> 8) % (*seed >> 28 ? 4099 : 3);
    return n < len ? n : len;
}

static int drive_push_all(struct sl_stage *stage, struct sl_buf_lane *lane, struct sl_span in,
                          struct sl_error *err)
{
    unsigned seed = (unsigned)in.len;
    int r = 0;
    while (r == 0 && in.len) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        DRIVE_DEMAND(buf);
        buf->len = drive_cut(&seed, in.len);
        memcpy(buf->data, in.data, buf->len);
        in.data += buf->len;
        in.len -= buf->len;
        r = sl_stage_push(stage, &buf, err);
        DRIVE_DEMAND(r != 0 || !buf);
        sl_buf_release(&buf);
    }
    DRIVE_DEMAND(r != -EAGAIN); /* the sink keeps nothing */
    return r == 0 ? sl_stage_finish(stage, err) : r;
}

/* Appends the plain bytes to out. Returns what the stage says; a refusal has code and text. */
static int drive_decompress(struct sl_span in, struct sl_bytes *out)
{
    const struct sl_decompress_limits limits = {.output = DRIVE_OUTPUT_MAX, .window = 1 << 20};
    struct sl_buf_pool *pool = NULL;
    struct sl_buf_lane *in_lane = NULL, *out_lane = NULL;
    struct sl_stage *stage = NULL;
    struct sl_error err = {0};
    size_t bytes = (size_t)(DRIVE_IN_BUFFERS + DRIVE_OUT_BUFFERS) * SL_BUF_SIZE;
    DRIVE_DEMAND(sl_buf_pool_new(bytes, &pool, NULL) == 0);
    DRIVE_DEMAND(sl_buf_lane_open(pool, DRIVE_IN_BUFFERS, &in_lane, NULL) == 0);
    DRIVE_DEMAND(sl_buf_lane_open(pool, DRIVE_OUT_BUFFERS, &out_lane, NULL) == 0);
    DRIVE_DEMAND(sl_stage_decompress_new(out_lane, &limits, &stage, NULL) == 0);

    struct drive_sink sink = {.stage = {.ops = &drive_sink_ops}, .out = out};
    stage->next = &sink.stage;
    int r = drive_push_all(stage, in_lane, in, &err);
    DRIVE_DEMAND(r == 0 || (err.msg[0] && (err.code == SL_E_FORMAT || err.code == SL_E_LIMIT)));

    (void)sl_stage_close(stage);
    (void)sl_buf_lane_close(in_lane); /* aborts when a buffer is missing */
    (void)sl_buf_lane_close(out_lane);
    (void)sl_buf_pool_free(pool);
    return r == 0 ? 0 : err.code == SL_E_LIMIT ? -E2BIG : -EINVAL;
}
