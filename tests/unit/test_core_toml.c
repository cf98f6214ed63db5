/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "sluice/core/toml.h"

#include <stdlib.h>
#include <string.h>

static struct sl_json_doc *parse(const char *text)
{
    struct sl_error err = {0};
    struct sl_json_doc *doc = NULL;
    int r = sl_toml_parse(sl_span_of(text), "test", &doc, &err);
    if (r < 0)
        fail_msg("%s", err.msg);
    return doc;
}

static void expect_refused(struct sl_span text, enum sl_errc code, const char *in_msg)
{
    struct sl_error err = {0};
    struct sl_json_doc *doc = NULL;
    int r = sl_toml_parse(text, "test", &doc, &err);
    assert_true(r < 0);
    assert_null(doc);
    assert_string_equal(sl_errc_name(err.code), sl_errc_name(code));
    assert_non_null(strstr(err.msg, in_msg));
}

static const char *text_at(const struct sl_json_doc *doc, const char *name)
{
    return sl_json_string(sl_json_get(sl_json_root(doc), name));
}

/* The examples of toml.io/en/v1.0.0, with the values its text gives. */
static void toml_of_each_type_becomes_the_same_tree(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc)
    doc = parse("str = \"a\\tb\\u00E9\\U0001F600\"\n"
                "lit = 'C:\\path'\n"
                "multi = \"\"\"\none\n  two \\\n   three\"\"\"\n"
                "lines = '''\n{\n\"a\": 1}\n'''\n"
                "int = 1_000\nhex = 0xDEAD\nneg = -9223372036854775808\n"
                "yes = true\nday = 1979-05-27\n"
                "a.b.\"c.d\" = 1\n"
                "list = [ [1, 2], [\"x\"] ]\n"
                "empty = {}\n"
                "[[t]]\nn = 1\n[[t]]\nn = 2\n[t.sub]\nz = 0\n");
    const struct sl_json *root = sl_json_root(doc);
    assert_string_equal(text_at(doc, "str"), "a\tb\xc3\xa9\xf0\x9f\x98\x80");
    assert_string_equal(text_at(doc, "lit"), "C:\\path");
    assert_string_equal(text_at(doc, "multi"), "one\n  two three");
    assert_string_equal(text_at(doc, "lines"), "{\n\"a\": 1}\n");
    assert_string_equal(text_at(doc, "day"), "1979-05-27");
    int64_t i = 0;
    assert_true(sl_json_int64(sl_json_get(root, "int"), &i) && i == 1000);
    assert_true(sl_json_int64(sl_json_get(root, "hex"), &i) && i == 0xDEAD);
    assert_true(sl_json_int64(sl_json_get(root, "neg"), &i) && i == INT64_MIN);
    bool yes = false;
    assert_true(sl_json_bool(sl_json_get(root, "yes"), &yes) && yes);
    const struct sl_json *b = sl_json_get(sl_json_get(root, "a"), "b");
    assert_true(sl_json_int64(sl_json_get(b, "c.d"), &i) && i == 1);
    assert_int_equal(sl_json_count(sl_json_get(root, "list")), 2);
    assert_int_equal(sl_json_type(sl_json_get(root, "empty")), SL_JSON_OBJECT);
    const struct sl_json *second = sl_json_at(sl_json_get(root, "t"), 1);
    assert_true(sl_json_int64(sl_json_get(second, "n"), &i) && i == 2);
    assert_true(sl_json_int64(sl_json_get(sl_json_get(second, "sub"), "z"), &i) && i == 0);
}

static void toml_every_ascii_character_in_a_string_survives(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 0x80; c++) {
        SL_AUTO_FREE char *text = sl_strf("k = \"<\\u%04X>\"\n\"<\\u%04X>\" = 1", c, c);
        SL_AUTO(sl_json_doc) doc = parse(text);
        char expected[] = {'<', (char)c, '>', 0};
        assert_string_equal(text_at(doc, "k"), expected);
        assert_non_null(sl_json_get(sl_json_root(doc), expected));
    }
}

static void expect_place(const struct sl_json *node, unsigned line, unsigned column)
{
    struct sl_json_place place = sl_json_place_of(node);
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
}

/* Of a member its name's, also where a header or dots name it. */
static void toml_nodes_know_their_places(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc)
    doc = parse("a = 1\n"
                "  x.y = \"one\\ntwo\"\n"
                "list = [1,\n        \"z\"]\n"
                "text = '''\n\n'''\n"
                "[t.sub]\n"
                "\n"
                "  n = 1979-05-27T07:32:00Z\n"
                "[[many]]\n[[many]]\nf = 1.5\ni = inf\n");
    const struct sl_json *root = sl_json_root(doc);
    expect_place(root, 1, 1);
    expect_place(sl_json_get(root, "a"), 1, 1);
    expect_place(sl_json_get(sl_json_get(root, "x"), "y"), 2, 5);
    expect_place(sl_json_at(sl_json_get(root, "list"), 1), 4, 9);
    expect_place(sl_json_get(root, "text"), 5, 1);
    const struct sl_json *sub = sl_json_get(sl_json_get(root, "t"), "sub");
    expect_place(sub, 8, 4);
    expect_place(sl_json_get(sub, "n"), 10, 3);
    assert_string_equal(sl_json_string(sl_json_get(sub, "n")), "1979-05-27T07:32:00Z");
    const struct sl_json *second = sl_json_at(sl_json_get(root, "many"), 1);
    expect_place(sl_json_get(second, "f"), 13, 1);
    assert_string_equal(sl_json_number(sl_json_get(second, "f")), "1.5");
    assert_string_equal(sl_json_string(sl_json_get(second, "i")), "inf");
}

static void toml_empty_text_is_an_empty_table(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = parse("");
    assert_int_equal(sl_json_type(sl_json_root(doc)), SL_JSON_OBJECT);
    assert_int_equal(sl_json_count(sl_json_root(doc)), 0);
}

static void toml_broken_text_fails_with_its_line(void **state)
{
    (void)state;
    expect_refused(sl_span_of("a = 1\nb = 2\nc = = 3\n"), SL_E_FORMAT, "test: line 3: ");
    expect_refused(sl_span_of("a = 1\na = 2\n"), SL_E_FORMAT, "test: line 2: ");
    expect_refused(sl_span_of("a = \"\xff\"\n"), SL_E_FORMAT, "test: line 1: ");
    expect_refused(sl_span_of("a = '''open\n\n"), SL_E_FORMAT, "test: line ");
    expect_refused(sl_span_of("a = \"\\u0000\"\n"), SL_E_FORMAT, "test");
}

static void toml_over_the_size_limit_is_refused(void **state)
{
    (void)state;
    size_t len = SL_TOML_MAX;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, '\n', len + 1);
    struct sl_json_doc *doc = NULL;
    assert_int_equal(sl_toml_parse((struct sl_span){(uint8_t *)text, len}, "test", &doc, NULL), 0);
    sl_json_free(doc);
    expect_refused((struct sl_span){(uint8_t *)text, len + 1}, SL_E_LIMIT, "test");
    free(text);
}

static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
    size_t unit_len = strlen(unit);
    char *s = malloc(strlen(head) + n * unit_len + strlen(tail) + 1);
    assert_non_null(s);
    char *p = stpcpy(s, head);
    while (n-- > 0)
        p = stpcpy(p, unit);
    stpcpy(p, tail);
    return s;
}

/* Each of these makes toml++ recurse once for a few bytes. */
static void toml_nested_deeply_is_refused_before_the_stack_ends(void **state)
{
    (void)state;
    static const char *const hostile[][3] = {
        {"", "a.", "a = 1"},
        {"[", "a.", "a]"},
        {"[[", "a.", "a]]"},
        {"x = 1 # '\n", "a.", "a = 1"},
        {"x = '''\n''' \ny = '#'\n", "a.", "a = 1"},
        {"x = \"\"\"a\\\"\"\"\"\"\n", "a.", "a = 1"},
        {"x = {y = \"\\\"\", ", "a.", "a = 1}"},
        {"a = ", "[", ""},
        {"a = ", "{a = ", ""},
        {"a = {", "a.", "a = 1}"},
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        size_t n = SL_TOML_MAX / 2 / strlen(hostile[i][1]);
        SL_AUTO_FREE char *text = repeat(hostile[i][0], hostile[i][1], n, hostile[i][2]);
        expect_refused(sl_span_of(text), SL_E_LIMIT, "nested too deeply");
    }
}

static void toml_dots_in_strings_and_comments_are_not_depth(void **state)
{
    (void)state;
    SL_AUTO_FREE char *dots = repeat("# ", "....[[[[", 50, "\n");
    SL_AUTO_FREE char *text = sl_strf("%sa = '''\n%s'''\nb = \"\"\"\n%s\"\"\"\n"
                                      "c = [1.5, 2.5,\n 3.5]\n",
                                      dots, dots, dots);
    SL_AUTO(sl_json_doc) doc = parse(text);
    assert_string_equal(text_at(doc, "a"), dots);
    assert_string_equal(text_at(doc, "b"), dots);
    assert_int_equal(sl_json_count(sl_json_get(sl_json_root(doc), "c")), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(toml_of_each_type_becomes_the_same_tree),
        cmocka_unit_test(toml_every_ascii_character_in_a_string_survives),
        cmocka_unit_test(toml_nodes_know_their_places),
        cmocka_unit_test(toml_empty_text_is_an_empty_table),
        cmocka_unit_test(toml_broken_text_fails_with_its_line),
        cmocka_unit_test(toml_over_the_size_limit_is_refused),
        cmocka_unit_test(toml_nested_deeply_is_refused_before_the_stack_ends),
        cmocka_unit_test(toml_dots_in_strings_and_comments_are_not_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
