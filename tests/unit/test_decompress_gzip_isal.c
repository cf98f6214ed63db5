/* SPDX-License-Identifier: Apache-2.0 */
#include "decompress_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct sl_span empty = {(const uint8_t *)"", 0};

static void refuses(const struct sl_bytes *stream, const char *text)
{
    sl_assert_refuses(sl_bytes_span(stream), /* limits= */ NULL, SL_E_FORMAT, text);
}

static void gzip_member_of_any_level_decompresses(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(70 * 1000);
    for (int level = 0; level <= 9; level += 3) {
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_gzip(&stream, sl_bytes_span(&text), level, /* header= */ NULL);
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

/* More than all output buffers together, and more than isa-l's own memory. */
static void member_larger_than_the_lane_decompresses(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(100 * 1000);
    for (int i = 0; i < 3; i++) {
        SL_AUTO_DONE(sl_bytes) twice = {0};
        sl_test_append(&twice, sl_bytes_span(&text));
        sl_test_append(&text, sl_bytes_span(&twice));
    }
    memset(text.data + 50 * 1000, 0, 500 * 1000);
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
}

static void member_that_fills_buffers_exactly_decompresses(void **state)
{
    (void)state;
    for (size_t size = SL_BUF_SIZE - 1; size <= SL_BUF_SIZE + 1; size++) {
        SL_AUTO_DONE(sl_bytes) text = sl_test_text(size);
        SL_AUTO_DONE(sl_bytes) stream = {0};
        memset(text.data + 1000, 0, size - 2000);
        sl_test_gzip(&stream, sl_bytes_span(&text), 1, /* header= */ NULL);
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void empty_member_gives_nothing(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_gzip(&stream, empty, 6, /* header= */ NULL);
    sl_assert_decompresses(sl_bytes_span(&stream), empty);
}

static void members_are_joined(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(40 * 1000), stream = {0};
    for (size_t at = 0; at < text.len; at += 1000) {
        struct sl_span part = {text.data + at, 1000};
        sl_test_gzip(&stream, part, 6, /* header= */ NULL);
        sl_test_gzip(&stream, empty, 6, /* header= */ NULL);
    }
    sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
}

static void header_fields_are_skipped(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(5000);
    uint8_t extra[300];
    memset(extra, 0, sizeof(extra)); /* NULs, as the name and the comment end in */
    for (unsigned fields = 0; fields < 16; fields++) {
        gz_header header = {.os = 3, .text = 1, .hcrc = !!(fields & 8)};
        header.extra = fields & 1 ? extra : NULL;
        header.extra_len = fields & 1 ? (fields & 4 ? sizeof(extra) : 0) : 0;
        header.name = fields & 2 ? (Bytef *)"layer.tar" : NULL;
        header.comment = fields & 4 ? (Bytef *)"" : NULL;
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_gzip(&stream, sl_bytes_span(&text), 6, &header);
        sl_test_gzip(&stream, empty, 6, &header);
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void header_damaged_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) good = {0};
    gz_header header = {.name = (Bytef *)"layer.tar", .hcrc = 1};
    sl_test_gzip(&good, empty, 6, &header);
    static const struct {
        size_t at;
        uint8_t flip;
        const char *text;
    } cases[] = {
        {2, 0x01, "offset 2: unknown compression method"},
        {3, 0x20, "offset 3: reserved header flags"},
        {3, 0x80, "offset 3: reserved header flags"},
        {4, 0x01, "checksum of the header"},
        {12, 0x10, "offset 21: the checksum of the header"},
        {20, 0x01, "offset 21: the checksum of the header"},
        {21, 0x80, "offset 21: the checksum of the header"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_append(&stream, sl_bytes_span(&good));
        stream.data[cases[i].at] ^= cases[i].flip;
        refuses(&stream, cases[i].text);
    }
}

static void stream_truncated_anywhere_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(600), stream = {0};
    gz_header header = {.name = (Bytef *)"n", .extra = (Bytef *)"xy", .extra_len = 2, .hcrc = 1};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, &header);
    size_t first = stream.len;
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, &header);
    for (size_t len = 4; len < stream.len; len++) {
        if (len == first)
            continue; /* that is a whole stream */
        sl_assert_refuses((struct sl_span){stream.data, len}, /* limits= */ NULL, SL_E_FORMAT,
                          "gzip: the data ends inside a member, truncated");
    }
}

static void truncation_names_the_offset(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(600), stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    sl_assert_refuses((struct sl_span){stream.data, 100}, /* limits= */ NULL, SL_E_FORMAT,
                      "near offset 100 of the compressed layer");
}

static void zeros_behind_the_end_are_padding(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(3000), stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    uint8_t zeros[700] = {0};
    for (size_t n = 1; n <= sizeof(zeros); n += 233) {
        sl_test_append(&stream, (struct sl_span){zeros, n});
        sl_assert_decompresses(sl_bytes_span(&stream), sl_bytes_span(&text));
    }
}

static void garbage_behind_the_end_fails_with_format(void **state)
{
    (void)state;
    static const struct {
        struct sl_span tail;
        const char *text;
    } cases[] = {
        {{(const uint8_t *)"x", 1}, "not a gzip member"},
        {{(const uint8_t *)"\x1f", 1}, "truncated"},
        {{(const uint8_t *)"\x1f\x8c", 2}, "not a gzip member"},
        {{(const uint8_t *)"\0x", 2}, "not zero behind the end"},
        {{(const uint8_t *)"\0\x1f\x8b", 3}, "not zero behind the end"},
        {{(const uint8_t *)"\x28\xb5\x2f\xfd", 4}, "not a gzip member"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) stream = {0};
        sl_test_gzip(&stream, (struct sl_span){(const uint8_t *)"abc", 3}, 6, /* header= */ NULL);
        sl_test_append(&stream, cases[i].tail);
        refuses(&stream, cases[i].text);
    }
}

static void trailer_with_any_bit_wrong_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(500), stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    for (size_t bit = 0; bit < 64; bit++) { /* CRC, then length */
        uint8_t *byte = &stream.data[stream.len - 8 + bit / 8];
        *byte ^= (uint8_t)(1 << bit % 8);
        refuses(&stream, "checksum or length of a member is wrong");
        *byte ^= (uint8_t)(1 << bit % 8);
    }
}

static void data_damaged_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) stream = {0};
    sl_test_gzip(&stream, empty, 6, /* header= */ NULL);
    stream.data[10] = 0x07; /* last block, of the reserved type */
    refuses(&stream, "invalid deflate block near offset");
}

/* A match that reaches back into the member before must not see its bytes. */
static void distance_into_the_member_before_fails_with_format(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(2000), stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    /* A block of fixed codes: length 3, distance 1, at the start of the data. */
    static const uint8_t member[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x03, 0x02,
                                     0,    0,    0, 0, 0, 0, 0, 0, 0, 0, 0};
    sl_test_append(&stream, (struct sl_span){member, sizeof(member)});
    refuses(&stream, "distance reaches back before the start");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_member_of_any_level_decompresses),
        cmocka_unit_test(member_larger_than_the_lane_decompresses),
        cmocka_unit_test(member_that_fills_buffers_exactly_decompresses),
        cmocka_unit_test(empty_member_gives_nothing),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(header_fields_are_skipped),
        cmocka_unit_test(header_damaged_fails_with_format),
        cmocka_unit_test(stream_truncated_anywhere_fails_with_format),
        cmocka_unit_test(truncation_names_the_offset),
        cmocka_unit_test(zeros_behind_the_end_are_padding),
        cmocka_unit_test(garbage_behind_the_end_fails_with_format),
        cmocka_unit_test(trailer_with_any_bit_wrong_fails_with_format),
        cmocka_unit_test(data_damaged_fails_with_format),
        cmocka_unit_test(distance_into_the_member_before_fails_with_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
