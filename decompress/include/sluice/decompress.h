/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decompression as a stage: gzip (isa-l, all members), zstd (all frames), plain. The format is
 * read from the first bytes; the diff_id decides whether the result is right.
 */
#pragma once

#include "sluice/core/stage.h"

struct sl_decompress_limits {
    uint64_t output; /* bytes in total; 0: 64 GiB */
    unsigned ratio;  /* output per input byte beyond the first 64 MiB of output; 0: 250 */
    uint64_t window; /* bytes of zstd window; 0: 128 MiB would be too much for a guest: 8 MiB */
};

/* out: the lane output buffers come from; plain input passes through without one. out must
 * outlive the stage. limits may be NULL. */
SL_MUST_CHECK int sl_stage_decompress_new(struct sl_buf_lane *out,
                                          const struct sl_decompress_limits *limits,
                                          struct sl_stage **ret, struct sl_error *err);
