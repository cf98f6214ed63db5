/* SPDX-License-Identifier: Apache-2.0 */
/* Plain ustar archives in memory, for tests and benchmarks in C. */
#pragma once

#include "sluice/core/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAR_MAKER_BLOCK = 512 };

static inline void tar_append(struct sl_bytes *tar, const void *data, size_t len)
{
    const struct sl_span more = {data, len};
    if (sl_bytes_append(tar, more, SIZE_MAX - 1, NULL) < 0)
        abort();
}

static inline void tar_pad(struct sl_bytes *tar)
{
    static const char zeros[TAR_MAKER_BLOCK];
    tar_append(tar, zeros, -tar->len % TAR_MAKER_BLOCK);
}

/* A header; of root, mode 0751, time 1000. The name has at most 100 bytes. */
static inline void tar_header(struct sl_bytes *tar, const char *name, char type, uint64_t size)
{
    char h[TAR_MAKER_BLOCK] = {0}, field[16];
    unsigned sum = 0;
    size_t len = strlen(name);
    if (len > 100)
        abort();
    memcpy(h, name, len);
    memcpy(h + 100, "0000751\0000000000\0000000000", 23);
    (void)snprintf(field, sizeof(field), "%011llo", (unsigned long long)size);
    memcpy(h + 124, field, 11);
    memcpy(h + 136, "00000001750", 11);
    h[156] = type;
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += (unsigned char)h[i];
    (void)snprintf(field, sizeof(field), "%06o", sum);
    memcpy(h + 148, field, 7);
    tar_append(tar, h, sizeof(h));
}

static inline void tar_entry(struct sl_bytes *tar, const char *name, char type, const void *data,
                             size_t size)
{
    tar_header(tar, name, type, size);
    tar_append(tar, data, size);
    tar_pad(tar);
}

static inline void tar_end(struct sl_bytes *tar)
{
    static const char zeros[2 * TAR_MAKER_BLOCK];
    tar_append(tar, zeros, sizeof(zeros));
}
