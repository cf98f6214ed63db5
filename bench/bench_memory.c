/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, STATUS_LINE = 256 };

/* field: "VmRSS:". */
static uint64_t status_bytes(const char *field)
{
    char line[STATUS_LINE];
    const size_t len = strlen(field);
    uint64_t kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, field, len) == 0)
            kib = strtoull(line + len, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib * KIB;
}

uint64_t sl_bench_memory_mark(void)
{
    (void)malloc_trim(0); /* what others have freed is not there for the taking */
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (f) {
        (void)fputs("5", f);
        (void)fclose(f);
    }
    return status_bytes("VmRSS:");
}

uint64_t sl_bench_memory_peak(void)
{
    return status_bytes("VmHWM:");
}
