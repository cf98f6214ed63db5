/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine could do at best with an image: "sluice-bench limit IMAGE". */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

/* A verb of the program: argv[0] is "limit". Prints to standard output, complains to standard
 * error. Returns the exit status. */
int sl_bench_limit(int argc, char **argv);

#ifdef __cplusplus
}
#endif
