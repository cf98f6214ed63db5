/* SPDX-License-Identifier: Apache-2.0 */
#include "message_memory.h"

#include "rpc_vectors.h"

/* busybox:latest into /run/b */
#define BUSYBOX_HEX "0a0e62757379626f783a6c617465737412062f72756e2f62"

static void pull_request_takes_the_last_fields_and_skips_others(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *image, *bundle;
    } cases[] = {
        {BUSYBOX_HEX, "busybox:latest", "/run/b"},
        {"", "", ""},
        {"0a00", "", ""},
        {"12022f62", "", "/b"},
        {"0a0161"
         "12022f62"
         "0a026262"
         "12022f63",
         "bb", "/c"},
        /* fields 3 to 6, of every wire type that is left, and number 536870911 */
        {"1801"
         "210102030405060708"
         "2a03787878"
         "3501020304"
         "faffffff0f0161"
         "0a0161",
         "a", ""},
        {"0a02c3a9", "\xc3\xa9", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = from_hex(cases[i].hex);
        SL_AUTO_DONE(sl_pull_request) got = {0};
        assert_ok(sl_pull_request_unpack(sl_bytes_span(&message), &got, NULL));
        assert_string_equal(got.image_url, cases[i].image);
        assert_string_equal(got.bundle_path, cases[i].bundle);
    }
}

static void pull_request_that_is_no_text_fails_with_format(void **state)
{
    (void)state;
    static const struct {
        const char *hex, *what;
    } cases[] = {
        {"0a03610062", "image_url is not UTF-8"},
        {"0a0100", "image_url is not UTF-8"},
        {"0a01ff", "image_url is not UTF-8"},
        {"0a02c080", "image_url is not UTF-8"},
        {"0a03eda080", "image_url is not UTF-8"},
        {"0a01c3", "image_url is not UTF-8"},
        {"0a016112022f80", "bundle_path is not UTF-8"},
        {"0a016112022f00", "bundle_path is not UTF-8"},
        {"0a0361", "no ImagePullRequest message"},
        {"0aff", "no ImagePullRequest message"},
        {"0b", "no ImagePullRequest message"},
        {"00", "no ImagePullRequest message"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = from_hex(cases[i].hex);
        struct sl_pull_request got = {0};
        struct sl_error err = {0};
        assert_fails(sl_pull_request_unpack(sl_bytes_span(&message), &got, &err), EBADMSG, err,
                     SL_E_FORMAT);
        assert_non_null(strstr(err.msg, cases[i].what));
        assert_null(got.image_url);
        assert_null(got.bundle_path);
    }
}

/* A message with one text of n bytes. */
static struct sl_bytes with_text(uint8_t tag, size_t n)
{
    struct sl_bytes b = {0};
    const uint8_t head[] = {tag, (uint8_t)(n & 0x7f) | 0x80, (uint8_t)(n >> 7)};
    assert_ok(sl_bytes_append(&b, (struct sl_span){head, 3}, SIZE_MAX, NULL));
    while (n--)
        assert_ok(sl_bytes_append(&b, sl_span_of("a"), SIZE_MAX, NULL));
    return b;
}

static void pull_request_over_its_limits_is_told_by_name(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        size_t max;
        const char *what;
    } cases[] = {{0x0a, SL_PULL_IMAGE_MAX, "image_url has 4097 bytes, over 4096"},
                 {0x12, SL_PULL_BUNDLE_MAX, "bundle_path has 4096 bytes, over 4095"}};
    for (size_t i = 0; i < 2; i++) {
        SL_AUTO_DONE(sl_bytes) longest = with_text(cases[i].tag, cases[i].max);
        SL_AUTO_DONE(sl_bytes) longer = with_text(cases[i].tag, cases[i].max + 1);
        SL_AUTO_DONE(sl_pull_request) got = {0};
        struct sl_error err = {0};
        assert_fails(sl_pull_request_unpack(sl_bytes_span(&longer), &got, &err), E2BIG, err,
                     SL_E_LIMIT);
        assert_string_equal(err.msg, cases[i].what);
        assert_ok(sl_pull_request_unpack(sl_bytes_span(&longest), &got, NULL));
        assert_int_equal(strlen(i ? got.bundle_path : got.image_url), cases[i].max);
    }
}

static void pull_response_has_its_bytes(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) got = {0};
    SL_AUTO_DONE(sl_bytes) empty = {0};
    assert_ok(sl_pull_response_pack("sha256:ab", &got, NULL));
    assert_span(sl_bytes_span(&got), "\x0a\x09sha256:ab");
    assert_ok(sl_pull_response_pack("", &empty, NULL));
    assert_int_equal(empty.len, 0);
}

static void measurement_has_its_bytes(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) got = {0};
    assert_ok(sl_measurement_pack("d", "PullImage", "{\"image\":\"a\"}", &got, NULL));
    assert_span(sl_bytes_span(&got), "\x0a\x01"
                                     "d\x12\x09PullImage\x1a\x0d{\"image\":\"a\"}");
}

static void measurement_answer_is_a_number(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        int want;
    } cases[] = {{"", 0},
                 {"0801", 1},
                 {"0802", 2},
                 {"0807", 7},
                 {"08010802", 2},
                 {"120161"
                  "0801",
                  1},
                 {"08ffffffffffffffffff01", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) message = from_hex(cases[i].hex);
        int got = 99;
        assert_ok(sl_measurement_answer_unpack(sl_bytes_span(&message), &got, NULL));
        assert_int_equal(got, cases[i].want);
    }
    SL_AUTO_DONE(sl_bytes) nonsense = from_hex("08");
    struct sl_error err = {0};
    int got = 99;
    assert_fails(sl_measurement_answer_unpack(sl_bytes_span(&nonsense), &got, &err), EBADMSG, err,
                 SL_E_FORMAT);
    assert_int_equal(got, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pull_request_takes_the_last_fields_and_skips_others),
        cmocka_unit_test(pull_request_that_is_no_text_fails_with_format),
        cmocka_unit_test(pull_request_over_its_limits_is_told_by_name),
        cmocka_unit_test(pull_response_has_its_bytes),
        cmocka_unit_test(measurement_has_its_bytes),
        cmocka_unit_test(measurement_answer_is_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
