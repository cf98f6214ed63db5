/* SPDX-License-Identifier: Apache-2.0 */
#include "decompress_check.h"
#include "expansion_limit.h"
#include "format_probe.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct sl_span empty = {(const uint8_t *)"", 0};

static void probe_knows_the_magic_of_each_format(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        size_t len;
        enum sl_format format;
    } cases[] = {
        {"\x1f\x8b\x08\x00", 4, SL_FORMAT_GZIP},
        {"\x1f\x8b\xff\xff", 4, SL_FORMAT_GZIP},
        {"\x1f\x8b\x08", 3, SL_FORMAT_PLAIN},
        {"\x1f\x8c\x08\x00", 4, SL_FORMAT_PLAIN},
        {"\x28\xb5\x2f\xfd", 4, SL_FORMAT_ZSTD},
        {"\x28\xb5\x2f\xfdzz", 6, SL_FORMAT_ZSTD},
        {"\x27\xb5\x2f\xfd", 4, SL_FORMAT_PLAIN},
        {"\x28\xb5\x2f", 3, SL_FORMAT_PLAIN},
        {"\x50\x2a\x4d\x18", 4, SL_FORMAT_ZSTD},
        {"\x5f\x2a\x4d\x18", 4, SL_FORMAT_ZSTD},
        {"\x4f\x2a\x4d\x18", 4, SL_FORMAT_PLAIN},
        {"\x60\x2a\x4d\x18", 4, SL_FORMAT_PLAIN},
        {"\x50\x2a\x4d\x19", 4, SL_FORMAT_PLAIN},
        {"BZh9", 4, SL_FORMAT_PLAIN},
        {"", 0, SL_FORMAT_PLAIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_span head = {(const uint8_t *)cases[i].head, cases[i].len};
        assert_int_equal(sl_format_probe(head), cases[i].format);
    }
}

static void plain_bytes_pass_unchanged(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(10 * 1000);
    for (size_t len = 1; len < text.len; len = len * 3 + 1) {
        struct sl_span part = {text.data, len};
        sl_assert_decompresses(part, part);
    }
}

static void input_too_short_for_a_format_is_plain(void **state)
{
    (void)state;
    sl_assert_decompresses(empty, empty);
    for (size_t len = 1; len < 4; len++) {
        struct sl_span gzip = {(const uint8_t *)"\x1f\x8b\x08", len};
        struct sl_span zstd = {(const uint8_t *)"\x28\xb5\x2f", len};
        sl_assert_decompresses(gzip, gzip);
        sl_assert_decompresses(zstd, zstd);
    }
}

/* Keeps the shape of what the stage pushes. */
struct shape_sink {
    struct sl_stage stage;
    const uint8_t *data[8];
    size_t len[8];
    size_t n;
};

static int shape_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    (void)err;
    struct shape_sink *s = (struct shape_sink *)stage;
    assert_true(s->n < 8);
    s->data[s->n] = (*bufp)->data;
    s->len[s->n++] = (*bufp)->len;
    sl_buf_release(bufp);
    return 0;
}

static const struct sl_stage_ops shape_ops = {
    .name = "shape", .phase = SL_PHASE_TREE, .push = shape_push};

static struct sl_buf *filled(struct sl_buf_lane *lane, struct sl_span bytes)
{
    struct sl_buf *buf = sl_buf_acquire(lane);
    assert_non_null(buf);
    assert_true(bytes.len <= buf->cap);
    memcpy(buf->data, bytes.data, bytes.len);
    buf->len = bytes.len;
    return buf;
}

static void plain_buffer_is_not_copied(void **state)
{
    (void)state;
    struct sl_stage_harness h;
    sl_stage_harness_open(&h, 1);
    SL_AUTO(sl_stage) stage = NULL;
    struct shape_sink sink = {.stage = {.ops = &shape_ops}};
    assert_int_equal(sl_stage_decompress_new(h.out_lane, NULL, &stage, NULL), 0);
    stage->next = &sink.stage;
    struct sl_buf *buf = filled(h.in_lane, sl_span_of("plain text"));
    const uint8_t *data = buf->data;
    assert_int_equal(sl_stage_push(stage, &buf, NULL), 0);
    assert_int_equal(sl_stage_finish(stage, NULL), 0);
    assert_int_equal(sink.n, 1);
    assert_ptr_equal(sink.data[0], data);
    stage = sl_stage_close(stage);
    sl_stage_harness_close(&h);
}

/* Small pushes would cost the stages behind more than they carry. */
static void output_buffers_are_filled_before_they_are_pushed(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(2 * SL_BUF_SIZE + 1000), stream = {0};
    sl_test_gzip(&stream, sl_bytes_span(&text), 6, /* header= */ NULL);
    struct sl_stage_harness h;
    sl_stage_harness_open(&h, 1);
    SL_AUTO(sl_stage) stage = NULL;
    struct shape_sink sink = {.stage = {.ops = &shape_ops}};
    assert_int_equal(sl_stage_decompress_new(h.out_lane, NULL, &stage, NULL), 0);
    stage->next = &sink.stage;
    for (size_t at = 0; at < stream.len; at += 5000) {
        size_t n = stream.len - at < 5000 ? stream.len - at : 5000;
        struct sl_buf *buf = filled(h.in_lane, (struct sl_span){stream.data + at, n});
        assert_int_equal(sl_stage_push(stage, &buf, NULL), 0);
    }
    assert_int_equal(sl_stage_finish(stage, NULL), 0);
    assert_int_equal(sink.n, 3);
    assert_int_equal(sink.len[0], SL_BUF_SIZE);
    assert_int_equal(sink.len[1], SL_BUF_SIZE);
    assert_int_equal(sink.len[2], 1000);
    stage = sl_stage_close(stage);
    sl_stage_harness_close(&h);
}

static void output_beyond_the_limit_fails_with_limit(void **state)
{
    (void)state;
    const struct sl_decompress_limits limits = {.output = 5000};
    SL_AUTO_DONE(sl_bytes) text = sl_test_text(5001);
    SL_AUTO_DONE(sl_bytes) gzip = {0}, zstd = {0};
    sl_test_gzip(&gzip, sl_bytes_span(&text), 6, /* header= */ NULL);
    sl_test_zstd(&zstd, sl_bytes_span(&text), 3, /* window_log= */ 0);
    const char *message = "expands to more than 5000 bytes";
    sl_assert_refuses(sl_bytes_span(&gzip), &limits, SL_E_LIMIT, message);
    sl_assert_refuses(sl_bytes_span(&zstd), &limits, SL_E_LIMIT, message);
    sl_assert_refuses(sl_bytes_span(&text), &limits, SL_E_LIMIT, message);
}

/* A hundred megabytes from a few kilobytes, which only zstd can do. */
static void bomb_fails_with_limit(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) zeros = {0}, stream = {0};
    static const uint8_t block[1 << 20];
    for (int i = 0; i < 100; i++)
        sl_test_append(&zeros, (struct sl_span){block, sizeof(block)});
    sl_test_zstd(&stream, sl_bytes_span(&zeros), 3, /* window_log= */ 0);
    assert_true(stream.len < 20 * 1000);

    struct sl_stage_harness h;
    struct sl_error err = {0};
    sl_stage_harness_open(&h, 2);
    struct sl_stage *stage = NULL;
    assert_int_equal(sl_stage_decompress_new(h.out_lane, NULL, &stage, NULL), 0);
    int r = sl_stage_harness_run(&h, &stage, sl_bytes_span(&stream), (struct sl_cuts){0}, &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_non_null(strstr(err.msg, "more than 250 times"));
    assert_true(h.out.len <= zeros.len);
    sl_stage_harness_close(&h);
}

static void ratio_counts_beyond_the_free_part_only(void **state)
{
    (void)state;
    const size_t mib = 1 << 20;
    struct sl_expansion x;
    sl_expansion_init(&x, &(struct sl_decompress_limits){.ratio = 10});
    assert_int_equal(sl_expansion_add(&x, 100, 64 * mib, NULL), 0);
    assert_int_equal(sl_expansion_add(&x, 0, 1000, NULL), 0);
    struct sl_error err = {0};
    assert_int_equal(sl_expansion_add(&x, 0, 1, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
}

static void limits_that_are_zero_have_defaults(void **state)
{
    (void)state;
    struct sl_expansion x;
    sl_expansion_init(&x, NULL);
    assert_int_equal(x.limits.output, UINT64_C(64) << 30);
    assert_int_equal(x.limits.ratio, 250);
    assert_int_equal(x.limits.window, 8 << 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probe_knows_the_magic_of_each_format),
        cmocka_unit_test(plain_bytes_pass_unchanged),
        cmocka_unit_test(input_too_short_for_a_format_is_plain),
        cmocka_unit_test(plain_buffer_is_not_copied),
        cmocka_unit_test(output_buffers_are_filled_before_they_are_pushed),
        cmocka_unit_test(output_beyond_the_limit_fails_with_limit),
        cmocka_unit_test(bomb_fails_with_limit),
        cmocka_unit_test(ratio_counts_beyond_the_free_part_only),
        cmocka_unit_test(limits_that_are_zero_have_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
