/* SPDX-License-Identifier: Apache-2.0 */
/* Who is run with whom, and what came out. */
#pragma once

#include "bench_case.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SL_BENCH_REPETITIONS_MAX = 64 };

/* One case's figures. Those of a run, by median over repetitions. */
struct sl_bench_result {
    const struct sl_bench_case *c;
    bool is_wanted; /* named by the filter, and not only somebody's rival */
    size_t group;   /* cases that are rivals, or have rivals in common, share it */
    uint64_t bytes;
    uint64_t peak_bytes;                                                  /* or SL_BENCH_UNKNOWN */
    size_t n;                                                             /* repetitions so far */
    double wall[SL_BENCH_REPETITIONS_MAX], cpu[SL_BENCH_REPETITIONS_MAX]; /* seconds of a run */
    int r;               /* 0, or the failure that err tells */
    struct sl_error err; /* SL_E_UNSUPPORTED: skipped */
};

struct sl_bench_results {
    struct sl_bench_result *list; /* group after group, in the order of the tables */
    size_t n;
};

/* The wanted cases, whose names match the extended regular expression, and their rivals. -EINVAL:
 * it is none, a rival is no case, or a name is there twice. */
int sl_bench_select(const char *pattern, struct sl_bench_results *ret, struct sl_error *err);
void sl_bench_results_done(struct sl_bench_results *results);

/* Aligned, to standard output. */
void sl_bench_print_table(const struct sl_bench_results *results);
/* One JSON object a line for each wanted case and rival:
 *   {"name", "rival", "bytes", "seconds", "cpu_seconds", "peak_bytes", "measure", "ratio"}
 * with null for a rival, a ratio and a peak that are not known; or {"name", "rival", "skipped":
 * why} and the same with "failed". Ratio: the rival's time for a byte, by the case's own. */
int sl_bench_write_records(const struct sl_bench_results *results, const char *path,
                           struct sl_error *err);
/* Cases that failed; skipped ones have not. */
size_t sl_bench_failures(const struct sl_bench_results *results);

#ifdef __cplusplus
}
#endif
