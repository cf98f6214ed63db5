/* SPDX-License-Identifier: Apache-2.0 */
#include "decompress_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

static const struct sl_span empty = {(const uint8_t *)"", 0};

static void refuses(const struct sl_bytes *stream, const char *text)
{
    sl_assert_refuses(sl_bytes_span(stream), /* limits= */ NULL, SL_E_FORMAT, text);
}

static void frame_of_any_level_decompresses(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(150 * 1000);
    for (int level = 1; level <= 19; level += 6) {
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_zstd(&stream, sl_bytes_span(&text), level, /* window_log= */ 0);
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void frame_larger_than_the_lane_decompresses(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(1000 * 1000);
    memset(text.data + 200 * 1000, 0, 600 * 1000);
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_zstd(&stream, sl_bytes_span(&text), 3, /* window_log= */ 0);
    sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
}

static void frame_that_fills_buffers_exactly_decompresses(void **state)
{
    (void)state;
    for (size_t size = SL_BUF_SIZE - 1; size <= SL_BUF_SIZE + 1; size++) {
        SL_AUTO_DONE(sl_bytes) text = sl_test_text(size);
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_zstd(&stream, sl_bytes_span(&text), 1, /* window_log= */ 0);
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void frames_and_skippable_frames_are_joined(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(20 * 1000), stream = {0};
    sl_test_skippable(&stream, sl_span_of("in front"));
    for (size_t at = 0; at < text.len; at += 1000) {
        struct sl_span part = {text.data + at, 1000};
        sl_test_zstd(&stream, part, 3, /* window_log= */ 0);
        sl_test_zstd(&stream, empty, 3, /* window_log= */ 0);
        sl_test_skippable(&stream, at % 2000 ? empty : part);
    }
    sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
}

/* The content size takes 1, 2 or 4 bytes of the header; small frames have no window. */
static void frame_that_tells_its_size_decompresses(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 255, 256, 65791, 65792, 140 * 1000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        SL_AUTO_DONE(sl_bytes) text = sl_test_text(sizes[i]), stream = {0};
        static uint8_t frame[256 * 1024];
        size_t n = ZSTD_compress(frame, sizeof(frame), text.data, text.len, 1);
        assert_false(ZSTD_isError(n));
        assert_int_equal(ZSTD_getFrameContentSize(frame, n), sizes[i]);
        sl_test_append(&stream, (struct sl_span){frame, n});
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void empty_frame_gives_nothing(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_zstd(&stream, empty, 3, /* window_log= */ 0);
    sl_assert_decompresses(sl_bytes_span(&stream), empty);
}

static void skippable_frame_alone_gives_nothing(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_skippable(&stream, sl_span_of("only this"));
    sl_assert_decompresses(sl_bytes_span(&stream), empty);
}

static void stream_truncated_anywhere_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(600), stream = {0};
    size_t whole[2];
    sl_test_zstd(&stream, sl_bytes_span(&text), 3, /* window_log= */ 0);
    whole[0] = stream.len;
    sl_test_skippable(&stream, sl_span_of("between"));
    whole[1] = stream.len;
    sl_test_zstd(&stream, sl_bytes_span(&text), 3, /* window_log= */ 0);
    for (size_t len = 4; len < stream.len; len++) {
        if (len == whole[0] || len == whole[1])
            continue;
        bool in_magic =
            (len > whole[0] && len < whole[0] + 4) || (len > whole[1] && len < whole[1] + 4);
        sl_assert_refuses((struct sl_span){stream.data, len}, /* limits= */ NULL, SL_E_FORMAT,
                          in_magic ? "zstd: neither a frame nor the end"
                                   : "zstd: the data ends inside a frame, truncated");
    }
}

static void truncation_names_the_offset(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(600), stream = {0};
    sl_test_zstd(&stream, sl_bytes_span(&text), 3, /* window_log= */ 0);
    sl_assert_refuses((struct sl_span){stream.data, 100}, /* limits= */ NULL, SL_E_FORMAT,
                      "near offset 100 of the compressed layer");
}

static void garbage_behind_the_end_fails_with_format(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "x",                /* and nothing more */
        "\x1f\x8b\x08\x01", /* gzip */
        "\x27\xb5\x2f\xfd", /* zstd 0.7 */
        "tar ",
    };
    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_zstd(&stream, sl_span_of("abc"), 3, /* window_log= */ 0);
        sl_test_append(&stream, sl_span_of(tails[i]));
        refuses(&stream, "neither a frame nor the end");
    }
}

static void zeros_behind_the_end_fail_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_zstd(&stream, sl_span_of("abc"), 3, /* window_log= */ 0);
    uint8_t zeros[512] = {0};
    sl_test_append(&stream, (struct sl_span){zeros, sizeof(zeros)});
    refuses(&stream, "neither a frame nor the end");
}

static void checksum_wrong_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(500), stream = {0};
    sl_test_zstd(&stream, sl_bytes_span(&text), 3, /* window_log= */ 0);
    stream.data[stream.len - 1] ^= 1;
    refuses(&stream, "checksum");
}

static void window_beyond_the_limit_fails_with_limit(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(1000), within = {0}, beyond = {0};
    sl_test_zstd(&within, sl_bytes_span(&text), 3, /* window_log= */ 23);
    sl_assert_decompresses(sl_bytes_span(&within), sl_bytes_span(&text));
    sl_test_zstd(&beyond, sl_bytes_span(&text), 3, /* window_log= */ 24);
    sl_assert_refuses(sl_bytes_span(&beyond), /* limits= */ NULL, SL_E_LIMIT,
                      "window of more than 8388608 bytes");
    const struct sl_decompress_limits small = {.window = 1 << 20};
    sl_assert_refuses(sl_bytes_span(&within), &small, SL_E_LIMIT,
                      "window of more than 1048576 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_of_any_level_decompresses),
        cmocka_unit_test(frame_larger_than_the_lane_decompresses),
        cmocka_unit_test(frame_that_fills_buffers_exactly_decompresses),
        cmocka_unit_test(frames_and_skippable_frames_are_joined),
        cmocka_unit_test(frame_that_tells_its_size_decompresses),
        cmocka_unit_test(empty_frame_gives_nothing),
        cmocka_unit_test(skippable_frame_alone_gives_nothing),
        cmocka_unit_test(stream_truncated_anywhere_fails_with_format),
        cmocka_unit_test(truncation_names_the_offset),
        cmocka_unit_test(garbage_behind_the_end_fails_with_format),
        cmocka_unit_test(zeros_behind_the_end_fail_with_format),
        cmocka_unit_test(checksum_wrong_fails_with_format),
        cmocka_unit_test(window_beyond_the_limit_fails_with_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
