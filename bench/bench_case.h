/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A benchmark case, in C. Each bench_<subject>.c exports one table; gbench_main.cc runs them with
 * google-benchmark. To add a subject: write the file, declare its table below, list it in
 * bench_rivalry.c and in CMakeLists.txt.
 */
#pragma once

#include "sluice/core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { SL_BENCH_RIVALS_MAX = 4 };

/* What is compared with a rival. */
enum sl_bench_measure {
    SL_BENCH_CPU,  /* of the process and its children: for what one thread does */
    SL_BENCH_WALL, /* for what threads or other programs do */
};

#define SL_BENCH_UNKNOWN UINT64_MAX

/* A case that is being run. */
struct sl_bench_run {
    void *state;         /* set_up()'s, and tear_down()'s to free */
    uint64_t bytes;      /* set by set_up(): read, or written where the subject says so, by a run */
    uint64_t peak_bytes; /* set by run(): the most that was taken of the pool, or SL_BENCH_UNKNOWN;
                          * 0: how far the process has grown is measured instead */
};

/* set_up, run and reset: 0, or -errno and *err, which is a case that failed. SL_E_UNSUPPORTED: it
 * cannot run here and is skipped. tear_down is called unless set_up failed. */
struct sl_bench_case {
    const char *name; /* subject/what/how/size: "crypto/decrypt/stage/1MiB" */
    /* Names of cases, in the order of their weight; NULL behind the last. */
    const char *rivals[SL_BENCH_RIVALS_MAX + 1];
    enum sl_bench_measure measure;
    int variant; /* the subject's own, as is detail */
    size_t detail;
    /* Untimed, around all runs. */
    int (*set_up)(const struct sl_bench_case *c, struct sl_bench_run *run, struct sl_error *err);
    int (*run)(struct sl_bench_run *run, struct sl_error *err); /* timed */
    void (*tear_down)(struct sl_bench_run *run);
    /* Untimed, before each run; NULL: nothing to do, and runs may follow one another closely. */
    int (*reset)(struct sl_bench_run *run, struct sl_error *err);
};

struct sl_bench_table {
    const struct sl_bench_case *cases;
    size_t n_cases;
};

extern const struct sl_bench_table sl_bench_crypto;
extern const struct sl_bench_table sl_bench_decompress;
extern const struct sl_bench_table sl_bench_untar;
extern const struct sl_bench_table sl_bench_layer_path;

/* Set once by main(): every case runs once with as little data as it can, to see whether it runs.
 */
extern bool sl_bench_smoke;
/* wanted, or less in a smoke test. */
size_t sl_bench_size(size_t wanted);

#ifdef __cplusplus
}
#endif
