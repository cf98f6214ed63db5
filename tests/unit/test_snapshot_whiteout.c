/* SPDX-License-Identifier: Apache-2.0 */
/* Names that are whiteouts, and how many a layer may have. (What they do is tested by
 * untar_corpus.py.) */
#include "whiteout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void whiteout_names_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum sl_whiteout_kind kind;
    } cases[] = {
        {"a", SL_WHITEOUT_NONE},
        {"a/wh.b", SL_WHITEOUT_NONE},
        {"a/x.wh.b", SL_WHITEOUT_NONE},
        {"a.wh./b", SL_WHITEOUT_NONE},
        {".wh.a", SL_WHITEOUT_NAME},
        {"a/.wh.b", SL_WHITEOUT_NAME},
        {"a/.wh..b", SL_WHITEOUT_NAME},
        {"a/.wh....", SL_WHITEOUT_NAME},
        {".wh..wh..opq", SL_WHITEOUT_OPAQUE},
        {"a/.wh..wh..opq", SL_WHITEOUT_OPAQUE},
        {"a/.wh..wh..opq2", SL_WHITEOUT_IGNORED},
        {".wh..wh.aufs", SL_WHITEOUT_IGNORED},
        {".wh..wh.orph", SL_WHITEOUT_IGNORED},
        {".wh..wh.orph/a", SL_WHITEOUT_IGNORED},
        {".wh..wh.plnk", SL_WHITEOUT_IGNORED},
        {".wh..wh.plnk/10.20", SL_WHITEOUT_PLNK},
        {".wh..wh.plnk/a/b", SL_WHITEOUT_PLNK},
        {"a/.wh..wh.plnk/10.20", SL_WHITEOUT_IGNORED},
        {".wh..wh.plnk2/10.20", SL_WHITEOUT_IGNORED},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_clean_path) path = {0};
        enum sl_whiteout_kind kind;
        assert_int_equal(sl_clean_path_set(&path, sl_span_of(cases[i].path), 10, NULL), 0);
        assert_int_equal(sl_whiteout_classify(&path, &kind, NULL), 0);
        if (kind != cases[i].kind)
            fail_msg("%s is of kind %d", cases[i].path, kind);
    }
}

static void whiteout_of_nothing_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {".wh.",   "a/.wh.",  ".wh..",
                                        ".wh...", ".wh.a/b", "a/.wh.b/.wh.c"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_clean_path) path = {0};
        enum sl_whiteout_kind kind = SL_WHITEOUT_NONE;
        struct sl_error err = {0};
        assert_int_equal(sl_clean_path_set(&path, sl_span_of(cases[i]), 10, NULL), 0);
        assert_int_equal(sl_whiteout_classify(&path, &kind, &err), -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_int_equal(kind, SL_WHITEOUT_NONE);
    }
}

static void whiteouts_of_a_layer_are_limited(void **state)
{
    (void)state;
    enum { NAME_LEN = 40 }; /* of ".wh." and the hidden name */
    SL_AUTO_DONE(sl_clean_path) path = {0};
    struct sl_whiteouts whiteouts = {0};
    struct sl_error err = {0};
    char name[NAME_LEN + 1] = ".wh.";
    memset(name + 4, 'x', NAME_LEN - 4);
    assert_int_equal(sl_clean_path_set(&path, sl_span_of(name), 10, NULL), 0);
    int r = 0;
    while (r == 0 && whiteouts.n < SL_WHITEOUTS_MAX)
        r = sl_whiteouts_add(&whiteouts, &path, SL_WHITEOUT_NAME, &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    size_t each = sizeof(struct sl_whiteout_note) + NAME_LEN - 4;
    assert_in_range(whiteouts.n * each, SL_WHITEOUTS_MAX - 2 * each, SL_WHITEOUTS_MAX);
    sl_whiteouts_done(&whiteouts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whiteout_names_are_told_apart),
        cmocka_unit_test(whiteout_of_nothing_is_refused),
        cmocka_unit_test(whiteouts_of_a_layer_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
