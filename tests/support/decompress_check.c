/* SPDX-License-Identifier: Apache-2.0 */
#include "decompress_check.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

enum { LIMIT = 256 * 1024 * 1024 };

static const struct {
    struct sl_cuts cuts;
    size_t hold;
} ways[] = {
    {.cuts = {.size = 0}},
    {.cuts = {.size = 1}},
    {.cuts = {.size = 4099, .seed = 7}},
    {.cuts = {.size = 3, .seed = 5}},
    {.cuts = {.size = 0}, .hold = 2}, /* all of the lane */
};

void sl_test_append(struct sl_bytes *b, struct sl_span more)
{
    if (sl_bytes_append(b, more, LIMIT, /* err= */ NULL) < 0)
        abort();
}

struct sl_bytes sl_test_text(size_t len)
{
    struct sl_bytes text = {0};
    unsigned seed = 1;
    while (text.len < len) {
        uint8_t word[24];
        size_t n = 1 + sl_test_random(&seed) % sizeof(word);
        sl_test_fill(word, n, sl_test_random(&seed) % 512);
        if (n > len - text.len)
            n = len - text.len;
        sl_test_append(&text, (struct sl_span){word, n});
    }
    return text;
}

void sl_test_gzip(struct sl_bytes *b, struct sl_span plain, int level, gz_header *header)
{
    z_stream z = {0};
    assert_int_equal(
        deflateInit2(&z, level, Z_DEFLATED, MAX_WBITS + 16, /* memLevel= */ 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    if (header)
        assert_int_equal(deflateSetHeader(&z, header), Z_OK);
    size_t room = deflateBound(&z, plain.len) + 1024;
    uint8_t *to = malloc(room);
    assert_non_null(to);
    z.next_in = (uint8_t *)plain.data;
    z.avail_in = (uInt)plain.len;
    z.next_out = to;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    sl_test_append(b, (struct sl_span){to, z.total_out});
    deflateEnd(&z);
    free(to);
}

void sl_test_zstd(struct sl_bytes *b, struct sl_span plain, int level, int window_log)
{
    ZSTD_CCtx *cctx = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(plain.len);
    uint8_t *to = malloc(room);
    assert_true(cctx && to);
    ZSTD_CCtx_setParameter(cctx, ZSTD_c_compressionLevel, level);
    ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(cctx, ZSTD_c_windowLog, window_log);
    /* In pieces, so that the frame declares a window and not its size. */
    ZSTD_outBuffer out = {to, room, 0};
    ZSTD_inBuffer in = {plain.data, plain.len, 0};
    while (in.pos < in.size)
        assert_false(ZSTD_isError(ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_continue)));
    assert_int_equal(ZSTD_compressStream2(cctx, &out, &in, ZSTD_e_end), 0);
    sl_test_append(b, (struct sl_span){to, out.pos});
    ZSTD_freeCCtx(cctx);
    free(to);
}

void sl_test_skippable(struct sl_bytes *b, struct sl_span content)
{
    size_t n = content.len;
    const uint8_t head[] = {0x5a, 0x2a, 0x4d, 0x18, (uint8_t)n, (uint8_t)(n >> 8), 0, 0};
    sl_test_append(b, (struct sl_span){head, sizeof(head)});
    sl_test_append(b, content);
}

static int run(struct sl_stage_harness *h, size_t way, struct sl_span stream,
               const struct sl_decompress_limits *limits, struct sl_error *err)
{
    struct sl_stage *stage = NULL;
    h->hold = ways[way].hold;
    assert_int_equal(sl_stage_decompress_new(h->out_lane, limits, &stage, err), 0);
    return sl_stage_harness_run(h, &stage, stream, ways[way].cuts, err);
}

void sl_assert_decompresses(struct sl_span stream, struct sl_span plain)
{
    struct sl_stage_harness h;
    sl_stage_harness_open(&h, /* out_buffers= */ 2);
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        struct sl_error err = {0};
        int r = run(&h, way, stream, /* limits= */ NULL, &err);
        assert_string_equal(err.msg, "");
        assert_int_equal(r, 0);
        assert_int_equal(h.out.len, plain.len);
        if (plain.len)
            assert_memory_equal(h.out.data, plain.data, plain.len);
    }
    sl_stage_harness_close(&h);
}

void sl_assert_refuses(struct sl_span stream, const struct sl_decompress_limits *limits,
                       enum sl_errc code, const char *text)
{
    struct sl_stage_harness h;
    sl_stage_harness_open(&h, /* out_buffers= */ 2);
    for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
        struct sl_error err = {0};
        int r = run(&h, way, stream, limits, &err);
        assert_int_equal(r, code == SL_E_LIMIT ? -E2BIG : -EINVAL);
        assert_int_equal(err.code, code);
        if (!strstr(err.msg, text))
            fail_msg("'%s' does not say '%s'", err.msg, text);
    }
    sl_stage_harness_close(&h);
}
