/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of vectors written in hex. */
#pragma once

#include "sluice/core/bytes.h"

#include <stdlib.h>

static inline struct sl_bytes bytes_of_hex(const char *hex)
{
    struct sl_bytes b = {0};
    for (; *hex; hex += 2) {
        const char digits[3] = {hex[0], hex[1], 0};
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
        if (sl_bytes_append(&b, (struct sl_span){&byte, 1}, 1 << 16, NULL) < 0)
            abort();
    }
    return b;
}
