/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void set_returns_minus_errno_and_explains(void **state)
{
    (void)state;
    struct sl_error err = {.stage = "before"};
    assert_int_equal(sl_error_set(&err, SL_E_FORMAT, EINVAL, "line %d", 7), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(err.errnum, EINVAL);
    assert_null(err.stage);
    assert_string_equal(err.msg, "line 7");
}

static void set_without_errno_is_eio(void **state)
{
    (void)state;
    struct sl_error err;
    assert_int_equal(sl_error_set(&err, SL_E_NETWORK, 0, "x"), -EIO);
    assert_int_equal(err.errnum, EIO);
    assert_int_equal(sl_error_set(&err, SL_E_NETWORK, -EINVAL, "x"), -EIO);
}

static void nobody_needs_to_listen(void **state)
{
    (void)state;
    assert_int_equal(sl_error_set(NULL, SL_E_LIMIT, E2BIG, "x"), -E2BIG);
    assert_int_equal(sl_error_system(NULL, ENOENT, "x"), -ENOENT);
    assert_int_equal(sl_error_wrap(NULL, -EPERM, "x"), -EPERM);
    assert_int_equal(sl_error_oom(NULL), -ENOMEM);
}

static void system_appends_the_text_of_errno(void **state)
{
    (void)state;
    struct sl_error err;
    assert_int_equal(sl_error_system(&err, ENOENT, "open %s", "f"), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_string_equal(err.msg, "open f: No such file or directory");
    assert_int_equal(sl_error_system(&err, 99999, "odd"), -99999);
    assert_string_equal(err.msg, "odd: unknown error");
}

static void wrap_puts_context_in_front_and_keeps_the_rest(void **state)
{
    (void)state;
    struct sl_error err = {0};
    (void)sl_error_set(&err, SL_E_INTEGRITY, EBADMSG, "sum is wrong");
    err.stage = "diff_id";
    assert_int_equal(sl_error_wrap(&err, -EBADMSG, "layer %d/%d", 1, 2), -EBADMSG);
    assert_string_equal(err.msg, "layer 1/2: sum is wrong");
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_string_equal(err.stage, "diff_id");
    /* A message may be wrapped in itself. */
    assert_int_equal(sl_error_wrap(&err, -EBADMSG, "%s", "a%sb"), -EBADMSG);
    assert_string_equal(err.msg, "a%sb: layer 1/2: sum is wrong");
}

static void messages_stay_one_harmless_line(void **state)
{
    (void)state;
    struct sl_error err;
    (void)sl_error_set(&err, SL_E_FORMAT, EINVAL, "%s", "a\nb\tc\033[2Jd\x7f\xc3\xa9");
    assert_string_equal(err.msg, "a?b?c?[2Jd?\xc3\xa9");
    (void)sl_error_wrap(&err, -EINVAL, "x\ry");
    assert_string_equal(err.msg, "x?y: a?b?c?[2Jd?\xc3\xa9");
    /* The upper control characters, as UTF-8 and as bytes; halves of characters. */
    (void)sl_error_set(&err, SL_E_FORMAT, EINVAL, "%s",
                       "a\xc2\x9b"
                       "2J\xc2\xa0\x9b\xc3");
    assert_string_equal(err.msg, "a??2J\xc2\xa0??");
    /* Separators of lines and paragraphs, and what turns the direction of a text. */
    (void)sl_error_set(
        &err, SL_E_FORMAT, EINVAL, "%s",
        "a\u2028b\u2029c\u202ed\u2066e\u2069f\u200fg\u061ch\u2027\u202f\u2065\u206a");
    assert_string_equal(err.msg, "a???b???c???d???e???f???g??h\u2027\u202f\u2065\u206a");
}

static void long_messages_are_cut_not_overrun(void **state)
{
    (void)state;
    char text[4 * SL_ERROR_MSG_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    struct {
        struct sl_error err;
        char guard[8];
    } e = {.guard = "guarded"};
    (void)sl_error_set(&e.err, SL_E_FORMAT, EINVAL, "%s", text);
    assert_int_equal(strlen(e.err.msg), SL_ERROR_MSG_MAX - 1);
    (void)sl_error_wrap(&e.err, -EINVAL, "context");
    assert_int_equal(strlen(e.err.msg), SL_ERROR_MSG_MAX - 1);
    assert_memory_equal(e.err.msg, "context: xxx", 12);
    (void)sl_error_wrap(&e.err, -EINVAL, "%s", text);
    assert_int_equal(strlen(e.err.msg), SL_ERROR_MSG_MAX - 1);
    (void)sl_error_system(&e.err, ENOENT, "%s", text);
    assert_int_equal(strlen(e.err.msg), SL_ERROR_MSG_MAX - 1);
    assert_string_equal(e.guard, "guarded");
}

static void codes_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "ok",        "system", "network", "auth",        "format",
        "integrity", "policy", "limit",   "unsupported", "cancelled",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_string_equal(sl_errc_name((enum sl_errc)i), names[i]);
    assert_string_equal(sl_errc_name((enum sl_errc)1000), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_minus_errno_and_explains),
        cmocka_unit_test(set_without_errno_is_eio),
        cmocka_unit_test(nobody_needs_to_listen),
        cmocka_unit_test(system_appends_the_text_of_errno),
        cmocka_unit_test(wrap_puts_context_in_front_and_keeps_the_rest),
        cmocka_unit_test(messages_stay_one_harmless_line),
        cmocka_unit_test(long_messages_are_cut_not_overrun),
        cmocka_unit_test(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
