/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include <stdio.h>

int sl_bench_limit(int argc, char **argv)
{
    (void)argc;
    fprintf(stderr, "%s: not there yet\n", argv[0]);
    return 1;
}
