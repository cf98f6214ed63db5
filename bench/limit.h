/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine could do at best with an image: "sluice-bench limit IMAGE". */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* A verb of the program: argv[0] is "limit". Measures what each part of a pull costs here, prints
 * the lower bound, pulls, and says where the rest went. Prints to standard output, complains to
 * standard error. Returns the exit status, as of sluice(1). */
int sl_bench_limit(int argc, char **argv);

#ifdef __cplusplus
}
#endif
