/* SPDX-License-Identifier: Apache-2.0 */
#include "format_probe.h"

#include <string.h>

static const uint8_t gzip_magic[] = {0x1f, 0x8b};
static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
/* Behind a first byte of 0x50 to 0x5f. */
static const uint8_t skippable_magic[] = {0x2a, 0x4d, 0x18};

static bool is_zstd(const uint8_t *p)
{
    if ((p[0] & 0xf0) == 0x50)
        return memcmp(p + 1, skippable_magic, sizeof(skippable_magic)) == 0;
    return memcmp(p, zstd_magic, sizeof(zstd_magic)) == 0;
}

enum sl_format sl_format_probe(struct sl_span head)
{
    if (head.len < SL_FORMAT_PROBE_SIZE)
        return SL_FORMAT_PLAIN;
    if (memcmp(head.data, gzip_magic, sizeof(gzip_magic)) == 0)
        return SL_FORMAT_GZIP;
    return is_zstd(head.data) ? SL_FORMAT_ZSTD : SL_FORMAT_PLAIN;
}
