/* SPDX-License-Identifier: Apache-2.0 */
#include "pax_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NUMBER(text, ret) sl_tar_number((const uint8_t *)(text), sizeof(text) - 1, (ret))

static void numbers_are_read_in_all_forms(void **state)
{
    (void)state;
    int64_t n;
    assert_int_equal(NUMBER("0000644\0", &n), 0);
    assert_int_equal(n, 0644);
    assert_int_equal(NUMBER("\0  17 \0x", &n), 0);
    assert_int_equal(n, 15);
    assert_int_equal(NUMBER("\0\0\0\0\0\0\0\0", &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(NUMBER("777777777777", &n), 0);
    assert_int_equal(n, 0777777777777);
    assert_int_equal(NUMBER("\x80\0\0\0\0\1\0\0", &n), 0);
    assert_int_equal(n, 65536);
    assert_int_equal(NUMBER("\xff\xff\xff\xff\xff\xff\xff\xfe", &n), 0);
    assert_int_equal(n, -2);
    assert_int_equal(NUMBER("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", &n), 0);
    assert_true(n == INT64_MAX);
    assert_int_equal(NUMBER("\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", &n), 0);
    assert_true(n == INT64_MIN);
}

static void numbers_that_are_none_are_refused(void **state)
{
    (void)state;
    int64_t n = 7;
    assert_int_equal(NUMBER("12x", &n), -EINVAL);
    assert_int_equal(NUMBER("8", &n), -EINVAL);
    assert_int_equal(NUMBER("-1", &n), -EINVAL);
    assert_int_equal(NUMBER("1 2", &n), -EINVAL);
    assert_int_equal(NUMBER("\x80\0\0\0\x80\0\0\0\0\0\0\0", &n), -EINVAL);
    assert_int_equal(NUMBER("\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", &n), -EINVAL);
    assert_int_equal(n, 7);
}

static void pax_times_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        struct timespec time;
    } cases[] = {
        {"11 mtime=1\n", {1, 0}},
        {"13 mtime=1.5\n", {1, 500000000}},
        {"22 mtime=1.0000000019\n", {1, 1}},
        {"14 mtime=-1.5\n", {-2, 500000000}},
        {"14 mtime=-0.5\n", {-1, 500000000}},
        {"12 mtime=-7\n", {-7, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_pax pax = {0};
        char text[64];
        (void)strncpy(text, cases[i].record, sizeof(text));
        int r = sl_pax_parse(&pax, (uint8_t *)text, strlen(cases[i].record), NULL);
        assert_int_equal(r, 0);
        assert_true(pax.has_mtime);
        assert_int_equal(pax.mtime.tv_sec, cases[i].time.tv_sec);
        assert_int_equal(pax.mtime.tv_nsec, cases[i].time.tv_nsec);
        sl_pax_done(&pax);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_in_all_forms),
        cmocka_unit_test(numbers_that_are_none_are_refused),
        cmocka_unit_test(pax_times_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
