/* SPDX-License-Identifier: Apache-2.0 */
/* A stage by itself: memory for it, and bytes pushed into it by the calling thread. */
#pragma once

#include "sluice/core/stage.h"

struct sl_bench_lanes {
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in, *out; /* out: NULL unless asked for */
};
/* 0 buffers: no lane. done accepts what failed half-way. */
SL_MUST_CHECK int sl_bench_lanes_open(size_t n_in, size_t n_out, struct sl_bench_lanes *ret,
                                      struct sl_error *err);
void sl_bench_lanes_done(struct sl_bench_lanes *b);

/* Copies the bytes into buffers of b->in, up to piece bytes each (0: as much as fits), as a source
 * does, and pushes them; then finishes the stage. */
SL_MUST_CHECK int sl_bench_push_all(struct sl_bench_lanes *b, struct sl_stage *stage,
                                    struct sl_span bytes, size_t piece, struct sl_error *err);
