/* SPDX-License-Identifier: Apache-2.0 */
#include "clean_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names_are_cleaned(void **state)
{
    (void)state;
    static const struct {
        const char *name, *path, *parent, *base;
    } cases[] = {{"a", "a", "", "a"},
                 {"/a//b/", "a/b", "a", "b"},
                 {"./a/./b/.", "a/b", "a", "b"},
                 {"a/b/../c", "a/c", "a", "c"},
                 {"a/..", "", "", ""},
                 {".", "", "", ""},
                 {"", "", "", ""},
                 {"///", "", "", ""},
                 {"...", "...", "", "..."},
                 {"a/b/c", "a/b/c", "a/b", "c"}};
    SL_AUTO_DONE(sl_clean_path) path = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(sl_clean_path_set(&path, sl_span_of(cases[i].name), 10, NULL), 0);
        assert_string_equal(path.text, cases[i].path);
        assert_int_equal(path.len, strlen(cases[i].path));
        assert_string_equal(sl_clean_path_base(&path), cases[i].base);
        struct sl_span parent = sl_clean_path_parent(&path);
        assert_int_equal(parent.len, strlen(cases[i].parent));
        assert_memory_equal(parent.data, cases[i].parent, parent.len);
    }
}

static void climbing_above_root_fails_with_format(void **state)
{
    (void)state;
    static const char *const names[] = {"..", "../a", "/..", "a/../..", "a/b/../../../c"};
    SL_AUTO_DONE(sl_clean_path) path = {0};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct sl_error err = {0};
        assert_int_equal(sl_clean_path_set(&path, sl_span_of(names[i]), 10, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
}

static void limits_hold(void **state)
{
    (void)state;
    char name[SL_COMPONENT_MAX + 2];
    memset(name, 'n', sizeof(name));
    SL_AUTO_DONE(sl_clean_path) path = {0};
    struct sl_error err = {0};
    struct sl_span fits = {(const uint8_t *)name, SL_COMPONENT_MAX};
    struct sl_span too_long = {(const uint8_t *)name, SL_COMPONENT_MAX + 1};
    assert_int_equal(sl_clean_path_set(&path, fits, 1, &err), 0);
    assert_int_equal(sl_clean_path_set(&path, too_long, 1, &err), -ENAMETOOLONG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_int_equal(sl_clean_path_set(&path, sl_span_of("a/b/../c"), 2, &err), 0);
    assert_int_equal(sl_clean_path_set(&path, sl_span_of("a/b/c"), 2, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_cleaned),
        cmocka_unit_test(climbing_above_root_fails_with_format),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
