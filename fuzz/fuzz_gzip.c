/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who controls these bytes: whoever made the layer or serves it. Of an encrypted layer, too,
 * since the MAC is known only at the end.
 *
 * zlib is the oracle: what it accepts we accept, and the bytes are the same. It refuses a little
 * more than isa-l: incomplete sets of distance codes that no data uses. Since a checksum would
 * stop nearly every mutation, the body is tried once more with the trailer corrected.
 */
#include "decompress_drive.h"
#include "format_probe.h"

#include <zlib.h>

enum { HEADER_SIZE = 10, TRAILER_SIZE = 8 };

/* Inflates one member (window_bits 31) or raw deflate data (-15) from *in on. False when zlib
 * refuses it, or when it grows too much. */
static bool oracle_inflate(struct sl_span *in, int window_bits, struct sl_bytes *out)
{
    z_stream z = {0};
    DRIVE_DEMAND(inflateInit2(&z, window_bits) == Z_OK);
    z.next_in = (uint8_t *)in->data;
    z.avail_in = (uInt)in->len;
    static uint8_t piece[65536];
    int r;
    do {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        r = inflate(&z, Z_NO_FLUSH);
        struct sl_span more = {piece, sizeof(piece) - z.avail_out};
        if (sl_bytes_append(out, more, DRIVE_OUTPUT_MAX, NULL) < 0)
            r = Z_MEM_ERROR;
    } while (r == Z_OK);
    in->data = z.next_in;
    in->len = z.avail_in;
    inflateEnd(&z);
    return r == Z_STREAM_END;
}

static bool oracle_gunzip(struct sl_span in, struct sl_bytes *out)
{
    do {
        if (!oracle_inflate(&in, 31, out))
            return false;
    } while (in.len && *in.data);
    for (; in.len && !*in.data; in.len--)
        in.data++;
    return in.len == 0;
}

static void compare(struct sl_span in, bool accepted, const struct sl_bytes *expected)
{
    SL_AUTO_DONE(sl_bytes) out = {0};
    int r = drive_decompress(in, &out);
    if (!accepted)
        return;
    DRIVE_DEMAND(r == 0);
    DRIVE_DEMAND(out.len == expected->len);
    DRIVE_DEMAND(!out.len || memcmp(out.data, expected->data, out.len) == 0);
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* The input's bytes behind a plain header, up to where deflate ends, with the right trailer. */
static void try_with_trailer(struct sl_span body)
{
    static const uint8_t header[HEADER_SIZE] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    SL_AUTO_DONE(sl_bytes) expected = {0}, stream = {0};
    struct sl_span rest = body;
    bool accepted = oracle_inflate(&rest, -15, &expected);
    body.len -= rest.len;
    uint8_t trailer[TRAILER_SIZE];
    put_u32(trailer, (uint32_t)crc32(0, expected.data, (uInt)expected.len));
    put_u32(trailer + 4, (uint32_t)expected.len);
    struct sl_span parts[] = {{header, sizeof(header)}, body, {trailer, sizeof(trailer)}};
    for (size_t i = 0; i < 3; i++)
        DRIVE_DEMAND(sl_bytes_append(&stream, parts[i], SIZE_MAX, NULL) == 0);
    compare(sl_bytes_span(&stream), accepted, &expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (sl_format_probe((struct sl_span){data, size}) != SL_FORMAT_GZIP)
        return 0; /* another format */
    SL_AUTO_DONE(sl_bytes) expected = {0};
    struct sl_span in = {data, size};
    bool accepted = oracle_gunzip(in, &expected);
    compare(in, accepted, &expected);
    if (size > HEADER_SIZE)
        try_with_trailer((struct sl_span){data + HEADER_SIZE, size - HEADER_SIZE});
    return 0;
}
