/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cases work on: a tar of this machine's own files, or the plain tar that the environment
 * variable SLUICE_BENCH_LAYER names, and what compressors make of it. Made once, kept until
 * sl_bench_data_done(), and between runs in $SLUICE_BENCH_DIR or ~/.cache/sluice-bench; remove
 * the files micro-* there to have newer ones. One thread.
 */
#pragma once

#include "sluice/core/bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_bench_shape {
    SL_BENCH_MIXED,       /* the real one */
    SL_BENCH_SMALL_FILES, /* directories of 50 files of 2 KB */
    SL_BENCH_LARGE_FILES, /* one after the other of 16 MiB */
    SL_BENCH_SHAPES,
};
/* Borrowed. */
int sl_bench_data_tar(enum sl_bench_shape shape, struct sl_span *ret, struct sl_error *err);

enum sl_bench_format {
    SL_BENCH_PLAIN,
    SL_BENCH_GZIP,    /* zlib, level 6, one member */
    SL_BENCH_MEMBERS, /* the same in members of 64 KiB of plain bytes, as bgzf */
    SL_BENCH_ZSTD_1,
    SL_BENCH_ZSTD_3,
    SL_BENCH_ZSTD_9,
    SL_BENCH_ZSTD_19,
    SL_BENCH_FORMATS,
};
/* The real tar, compressed. Borrowed. */
int sl_bench_data_stream(enum sl_bench_format format, struct sl_span *ret, struct sl_error *err);

/* What it is, for whoever reads the table: whole lines. */
const char *sl_bench_data_note(void);
void sl_bench_data_done(void);

#ifdef __cplusplus
}
#endif
