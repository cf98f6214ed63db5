/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A benchmark case, in C. Each bench_<subject>.c exports one table; gbench_main.cc registers all
 * tables with google-benchmark. To add a subject: write the file, declare its table below, list it
 * in gbench_main.cc and in CMakeLists.txt.
 */
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sl_bench_case {
    const char *name;  /* subject/what/how/size: "crypto/decrypt/fused/1MiB" */
    const char *rival; /* whom the number is to be held against: a case's name, or words */
    size_t bytes;      /* read by one run, reported as bytes per second */
    int variant;       /* the subject's own */
    /* Untimed, around all runs. *ret_state is handed to the others. 0, or the case is reported as
     * failed; tear_down is then not called. */
    int (*set_up)(const struct sl_bench_case *c, void **ret_state);
    int (*run)(void *state); /* timed; not 0 fails the case */
    void (*tear_down)(void *state);
    int (*reset)(void *state); /* untimed, before each run; NULL: nothing to do */
};

struct sl_bench_table {
    const struct sl_bench_case *cases;
    size_t n_cases;
};

extern const struct sl_bench_table sl_bench_cipher;
extern const struct sl_bench_table sl_bench_decompress;
extern const struct sl_bench_table sl_bench_untar;

#ifdef __cplusplus
}
#endif
