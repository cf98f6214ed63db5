/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "sluice/core/yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_refused_within(struct sl_span text, const struct sl_json_limits *limits,
                                  enum sl_errc code, int errnum, const char *msg)
{
    struct sl_error err = {0};
    struct sl_json_doc *doc = NULL;
    assert_int_equal(sl_yaml_parse(text, "test", limits, &doc, &err), -errnum);
    assert_null(doc);
    assert_string_equal(sl_errc_name(err.code), sl_errc_name(code));
    assert_string_equal(err.msg, msg);
}

static void expect_refused(const char *text, const char *msg)
{
    expect_refused_within(sl_span_of(text), NULL, SL_E_FORMAT, EINVAL, msg);
}

static bool is_same(const struct sl_json *a, const struct sl_json *b)
{
    int64_t a_int = 0, b_int = 0;
    bool a_bool = false, b_bool = false;
    if (sl_json_type(a) != sl_json_type(b) || sl_json_count(a) != sl_json_count(b))
        return false;
    if (sl_json_int64(a, &a_int) != sl_json_int64(b, &b_int) || a_int != b_int ||
        sl_json_bool(a, &a_bool) != sl_json_bool(b, &b_bool) || a_bool != b_bool)
        return false;
    if (sl_json_string(a) && strcmp(sl_json_string(a), sl_json_string(b)) != 0)
        return false;
    for (size_t i = 0; i < sl_json_count(a); i++) {
        const char *name = sl_json_name_at(a, i);
        if (name && strcmp(name, sl_json_name_at(b, i)) != 0)
            return false;
        if (!is_same(sl_json_at(a, i), sl_json_at(b, i)))
            return false;
    }
    return true;
}

static void expect_same(const char *yaml, const char *json)
{
    struct sl_error err = {0};
    SL_AUTO(sl_json_doc) got = NULL;
    SL_AUTO(sl_json_doc) want = NULL;
    assert_int_equal(sl_json_parse(sl_span_of(json), "json", NULL, &want, NULL), 0);
    if (sl_yaml_parse(sl_span_of(yaml), "test", NULL, &got, &err) < 0)
        fail_msg("%s", err.msg);
    if (!is_same(sl_json_root(got), sl_json_root(want)))
        fail_msg("%s is not %s", yaml, json);
}

static void yaml_of_each_shape_is_the_tree_of_its_json(void **state)
{
    (void)state;
    expect_same("a: 1\nb:\n  - x\n  - y: z\n    w: {q: [1, [2], {}]}\n  -\nc:\n",
                "{\"a\":1,\"b\":[\"x\",{\"y\":\"z\",\"w\":{\"q\":[1,[2],{}]}},null],\"c\":null}");
    expect_same("text", "\"text\"");
    expect_same("--- [a]\n...\n", "[\"a\"]");
    expect_same("%YAML 1.2\n---\na: b\n", "{\"a\":\"b\"}");
    expect_same("\xef\xbb\xbf"
                "a: b\n",
                "{\"a\":\"b\"}");
    expect_same("lit: |\n  a\n   b\nfold: >-\n  a\n  b\ndq: \"a\\tb\\u00e9\\U0001F600\\\n  c\"\n"
                "sq: 'it''s'\nplain: a b\n  c # no\n",
                "{\"lit\":\"a\\n b\\n\",\"fold\":\"a b\",\"dq\":\"a\\tb\\u00e9\\ud83d\\ude00c\","
                "\"sq\":\"it's\",\"plain\":\"a b c\"}");
    /* Any JSON without doubled names is YAML. */
    const char *json = "{\"a\":[1,-2,true,null,{\"b\":\"c\\\\\\\"\"}],\"\":{}}";
    expect_same(json, json);
}

/* The core schema of YAML 1.2.2, section 10.3.2, without its floats. */
static void yaml_plain_scalars_are_those_of_the_core_schema(void **state)
{
    (void)state;
    expect_same("- null\n- Null\n- NULL\n- ~\n-\n", "[null,null,null,null,null]");
    expect_same("[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]");
    expect_same("[0, -19, +7, 007, -0, 0o7, 0o017, 0x3A, 0xfF]", "[0,-19,7,7,0,7,15,58,255]");
    expect_same("[9223372036854775807, -9223372036854775808, 0x7fffffffffffffff]",
                "[9223372036854775807,-9223372036854775808,9223372036854775807]");
}

static void yaml_everything_else_is_text(void **state)
{
    (void)state;
    /* Booleans and octals of YAML 1.1, floats, times, and what only looks like a number. */
    expect_same(
        "[yes, no, on, off, y, tRUE, nULL, 1.5, 1e3, .inf, 0b1, 1_000, 0o8, 0xg, -0x1, "
        "12:30:45, 2001-01-01, '-', +, 0x, 0o]",
        "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"tRUE\",\"nULL\",\"1.5\",\"1e3\",\".inf\","
        "\"0b1\",\"1_000\",\"0o8\",\"0xg\",\"-0x1\",\"12:30:45\",\"2001-01-01\",\"-\",\"+\","
        "\"0x\",\"0o\"]");
    expect_same("['1', \"true\", 'null', '', \"~\"]", "[\"1\",\"true\",\"null\",\"\",\"~\"]");
    expect_same("|\n  12\n", "\"12\\n\"");
    expect_same("1: a\ntrue: b\n~: c\n'<<': d\n",
                "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\",\"<<\":\"d\"}");
}

static void yaml_without_a_document_is_null(void **state)
{
    (void)state;
    expect_same("", "null");
    expect_same("# nothing but comments\n\n", "null");
    expect_same("---\n", "null");
}

static void yaml_with_what_is_not_configuration_is_refused(void **state)
{
    (void)state;
#define DECORATED "anchors, aliases and tags are not read"
    expect_refused("a: &x 1\n", "test: line 1, column 4: " DECORATED);
    expect_refused("a: &x [1]\n", "test: line 1, column 4: " DECORATED);
    expect_refused("a: &x {b: 1}\n", "test: line 1, column 4: " DECORATED);
    expect_refused("- 1\n- *x\n", "test: line 2, column 3: " DECORATED);
    expect_refused("a: !!str 1\n", "test: line 1, column 4: " DECORATED);
    expect_refused("!x [1]\n", "test: line 1, column 1: " DECORATED);
    expect_refused("! {a: 1}\n", "test: line 1, column 1: " DECORATED);
    expect_refused("&a a: 1\n", "test: line 1, column 1: " DECORATED);
    expect_refused("a: 1\n<<: {b: 1}\n", "test: line 2, column 1: merge keys are not read");
    expect_refused("? [a]\n: b\n", "test: line 1, column 3: a key must be a scalar");
    expect_refused("? {a: b}\n: c\n", "test: line 1, column 3: a key must be a scalar");
    expect_refused("a: 1\nb: 2\na: 3\n", "test: line 3, column 1: member 'a' appears twice");
    expect_refused("--- 1\n--- 2\n",
                   "test: line 2, column 1: a second document begins; one is read");
    expect_refused("x: \"a\\0b\"\n", "test: line 1, column 4: a string holds a NUL character");
    expect_refused("a: 9223372036854775808\n",
                   "test: line 1, column 4: this integer does not fit into 64 bits; quote it if "
                   "it is text");
    expect_refused("[0x8000000000000000]",
                   "test: line 1, column 2: this integer does not fit into 64 bits; quote it if "
                   "it is text");
}

static void yaml_that_is_malformed_is_refused_without_quoting_it(void **state)
{
    (void)state;
    expect_refused("a: [secret\n", "test: not readable as YAML: line 2, column 1: did not find "
                                   "expected ',' or ']'");
    expect_refused("a: b\n  c: secret\n", "test: not readable as YAML: line 2, column 4: mapping "
                                          "values are not allowed in this context");
    expect_refused("a: \"\\ud800\"\n", "test: not readable as YAML: line 1, column 7: found "
                                       "invalid Unicode character escape code");
    expect_refused("a: \xff\n", "test: not readable as YAML: byte 3: invalid leading UTF-8 octet");
    expect_refused("a: \x01\n",
                   "test: not readable as YAML: byte 3: control characters are not allowed");
    expect_refused("a:\n\tb: 1\n", "test: not readable as YAML: line 2, column 1: found character "
                                   "that cannot start any token");
}

static void yaml_beyond_a_limit_is_refused(void **state)
{
    (void)state;
    const struct sl_json_limits few = {.size = 10, .depth = 2};
    SL_AUTO(sl_json_doc) doc = NULL;
    assert_int_equal(sl_yaml_parse(sl_span_of("[[1, 2]]  "), "test", &few, &doc, NULL), 0);
    expect_refused_within(sl_span_of("[[1, 2]]   "), &few, SL_E_LIMIT, E2BIG,
                          "test: larger than 10 bytes");
    expect_refused_within(sl_span_of("[[[1]]]"), &few, SL_E_LIMIT, E2BIG,
                          "test: line 1, column 3: nested too deeply");
    char deep[40] = {0};
    memset(deep, '[', 33);
    expect_refused_within(sl_span_of(deep), NULL, SL_E_LIMIT, E2BIG,
                          "test: line 1, column 33: nested too deeply");
}

static void yaml_of_too_many_values_is_refused(void **state)
{
    (void)state;
    enum { VALUES = 64 * 1024 }; /* and the array around them: one too many */
    static char text[3 * VALUES + 1];
    for (size_t i = 0; i < VALUES; i++)
        memcpy(text + 3 * i, "- \n", 3);
    expect_refused_within((struct sl_span){(uint8_t *)text, (size_t)3 * VALUES}, NULL, SL_E_LIMIT,
                          E2BIG, "test: line 65536, column 2: more than 65536 values");
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_span one_less = {(uint8_t *)text, (size_t)3 * (VALUES - 1)};
    assert_int_equal(sl_yaml_parse(one_less, "test", NULL, &doc, NULL), 0);
    assert_int_equal(sl_json_count(sl_json_root(doc)), VALUES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_of_each_shape_is_the_tree_of_its_json),
        cmocka_unit_test(yaml_plain_scalars_are_those_of_the_core_schema),
        cmocka_unit_test(yaml_everything_else_is_text),
        cmocka_unit_test(yaml_without_a_document_is_null),
        cmocka_unit_test(yaml_with_what_is_not_configuration_is_refused),
        cmocka_unit_test(yaml_that_is_malformed_is_refused_without_quoting_it),
        cmocka_unit_test(yaml_beyond_a_limit_is_refused),
        cmocka_unit_test(yaml_of_too_many_values_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
