/* SPDX-License-Identifier: Apache-2.0 */
/* How far this process grows, for what has no pool. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Starts afresh (proc(5), clear_refs 5) and returns what is resident now, in bytes. */
uint64_t sl_bench_memory_mark(void);
/* The most that was resident since, in bytes. 0: cannot be told. */
uint64_t sl_bench_memory_peak(void);

#ifdef __cplusplus
}
#endif
