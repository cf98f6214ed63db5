/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who controls these bytes: whoever made the layer or serves it. Of an encrypted layer, too,
 * since the MAC is known only at the end.
 *
 * libzstd, given each frame at once, is the oracle for what the stage makes of them in pieces.
 */
#include "decompress_drive.h"
#include "format_probe.h"

#include <zstd.h>

/* False when a frame is bad or too large. Appends the plain bytes. */
static bool oracle_frame(struct sl_span frame, struct sl_bytes *out)
{
    static uint8_t piece[DRIVE_OUTPUT_MAX];
    size_t n = ZSTD_decompress(piece, sizeof(piece), frame.data, frame.len);
    return !ZSTD_isError(n) &&
           sl_bytes_append(out, (struct sl_span){piece, n}, DRIVE_OUTPUT_MAX, NULL) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sl_format_probe((struct sl_span){data, size}) != SL_FORMAT_ZSTD)
        return 0; /* another format */
    SL_AUTO_DONE(sl_bytes) expected = {0}, out = {0};
    if (drive_decompress((struct sl_span){data, size}, &out) < 0)
        return 0; /* the window limit makes us stricter: what matters is what we accept */
    for (struct sl_span rest = {data, size}; rest.len;) {
        size_t n = ZSTD_findFrameCompressedSize(rest.data, rest.len);
        DRIVE_DEMAND(!ZSTD_isError(n));
        /* Given all at once, libzstd refuses more: a frame that promises content and has none. */
        if (!oracle_frame((struct sl_span){rest.data, n}, &expected))
            return 0;
        rest.data += n;
        rest.len -= n;
    }
    DRIVE_DEMAND(out.len == expected.len);
    DRIVE_DEMAND(!out.len || memcmp(out.data, expected.data, out.len) == 0);
    return 0;
}
