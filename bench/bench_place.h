/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system of one's own to unpack into, and a new one for each run: creating files on one
 * from which a large tree was just removed takes several times longer. Mounted in a namespace that
 * the calling thread alone is in, so that it goes with the process. Needs root.
 */
#pragma once

#include "sluice/core/error.h"

enum sl_bench_fs {
    SL_BENCH_TMPFS,
    SL_BENCH_EXT4, /* in a file that lies in memory, so that the disk does not decide */
};

struct sl_bench_place {
    enum sl_bench_fs fs;
    char base[64]; /* "/tmp/…"; a tmpfs, with disk and root/ in it */
    int root_fd;   /* base/root, empty after a reset; -1 before the first */
};
/* SL_E_UNSUPPORTED: not on this machine, and err says why. */
SL_MUST_CHECK int sl_bench_place_open(enum sl_bench_fs fs, struct sl_bench_place *ret,
                                      struct sl_error *err);
/* Closes root_fd and opens an empty one. What others have open below it must be closed. */
SL_MUST_CHECK int sl_bench_place_reset(struct sl_bench_place *place, struct sl_error *err);
/* Accepts a place that is all zero. */
void sl_bench_place_close(struct sl_bench_place *place);
