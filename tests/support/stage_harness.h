/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives one stage in a unit test: pushes bytes through it in chosen cuts, with buffers of a real
 * pool, and collects what comes out.
 *
 *   struct sl_stage_harness h;
 *   sl_stage_harness_open(&h, 8);
 *   ... sl_stage_decompress_new(..., h.out_lane, &stage, NULL) ...
 *   r = sl_stage_harness_run(&h, &stage, input, (struct sl_cuts){.size = 1}, &err);
 *   ... compare h.out, and r and err ...
 *   sl_stage_harness_close(&h);
 *
 * Link tests/support/stage_harness.c: sl_add_unit_test(... SOURCES ${SL_STAGE_HARNESS}).
 * A broken promise of the stage (a buffer not taken, not sent home, an empty output buffer) aborts
 * with a message.
 */
#pragma once

#include "sluice/core/stage.h"

/* How the input is cut. {0}: as much as a buffer holds. */
struct sl_cuts {
    size_t size;   /* bytes of each piece; 0: as much as fits */
    unsigned seed; /* not 0: pieces of 1 to size bytes, at offsets of 0 to 63 in their buffers */
};

struct sl_stage_harness {
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in_lane;  /* the harness's own */
    struct sl_buf_lane *out_lane; /* for a stage that owns its output */
    size_t hold; /* the sink keeps up to this many output buffers until the stage says -EAGAIN */

    /* Results of the last run. */
    struct sl_bytes out;
    size_t pushed;       /* input bytes offered when the run ended */
    unsigned n_again;    /* how often the stage answered -EAGAIN */
    unsigned n_finished; /* 1 once finish() was called and had not answered -EAGAIN */
};

/* out_buffers is the size of out_lane. */
void sl_stage_harness_open(struct sl_stage_harness *h, size_t out_buffers);
/* Takes the stage, drives it to its end or its first failure, closes it. Returns what push() or
 * finish() returned. */
int sl_stage_harness_run(struct sl_stage_harness *h, struct sl_stage **stagep, struct sl_span input,
                         struct sl_cuts cuts, struct sl_error *err);
void sl_stage_harness_close(struct sl_stage_harness *h);

/* A small generator for test data and cuts: the same seed, the same bytes. */
void sl_test_fill(uint8_t *data, size_t len, unsigned seed);
unsigned sl_test_random(unsigned *seed);
