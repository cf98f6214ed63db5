/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader accepts and refuses is RFC 8259, and what its own header adds to it. */
#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) ((struct sl_span){(const uint8_t *)(literal), sizeof(literal) - 1})

static int parse(struct sl_span text, const struct sl_json_limits *limits, struct sl_error *err)
{
    struct sl_json_doc *doc = NULL;
    int r = sl_json_parse(text, "document", limits, &doc, err);
    assert_int_equal(r < 0, doc == NULL);
    (void)sl_json_free(doc);
    return r;
}

static void assert_refused(struct sl_span text, enum sl_errc code)
{
    struct sl_error err = {0};
    if (parse(text, NULL, &err) == 0)
        fail_msg("accepted: %.*s", (int)text.len, (const char *)text.data);
    if (err.code != code)
        fail_msg("%.*s: code %s: %s", (int)text.len, (const char *)text.data,
                 sl_errc_name(err.code), err.msg);
    assert_memory_equal(err.msg, "document: ", 10);
}

static struct sl_json_doc *open_doc(const char *text)
{
    struct sl_json_doc *doc = NULL;
    struct sl_error err = {0};
    if (sl_json_parse(sl_span_of(text), "document", NULL, &doc, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return doc;
}

/* ---- accepted ---- */

static void json_every_type_is_read(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc(" {\"n\":null,\"t\":true,\"f\":false,\"i\":-12,\"s\":\"x\","
                                        "\"a\":[1,\"2\",[]],\"o\":{}}\r\n\t");
    const struct sl_json *root = sl_json_root(doc);
    int64_t i;
    bool b;
    assert_int_equal(sl_json_type(root), SL_JSON_OBJECT);
    assert_int_equal(sl_json_count(root), 7);
    assert_int_equal(sl_json_type(sl_json_get(root, "n")), SL_JSON_NULL);
    assert_true(sl_json_bool(sl_json_get(root, "t"), &b) && b);
    assert_true(sl_json_bool(sl_json_get(root, "f"), &b) && !b);
    assert_true(sl_json_int64(sl_json_get(root, "i"), &i));
    assert_int_equal(i, -12);
    assert_string_equal(sl_json_string(sl_json_get(root, "s")), "x");
    const struct sl_json *a = sl_json_get(root, "a");
    assert_int_equal(sl_json_count(a), 3);
    assert_string_equal(sl_json_string(sl_json_at(a, 1)), "2");
    assert_int_equal(sl_json_type(sl_json_at(a, 2)), SL_JSON_ARRAY);
    assert_string_equal(sl_json_name_at(root, 6), "o");
}

static void json_scalar_may_be_the_document(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("\"alone\"");
    assert_string_equal(sl_json_string(sl_json_root(doc)), "alone");
}

static void json_escapes_are_decoded(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc =
        open_doc("\"\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u0041 \\u00e9 \\u20AC \\ud83d\\ude00\"");
    assert_string_equal(sl_json_string(sl_json_root(doc)),
                        "\" \\ / \b \f \n \r \t A \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

static void json_names_are_compared_after_decoding(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("{\"\\u0061\":\"1\",\"A\":\"2\",\"\":\"3\"}");
    assert_string_equal(sl_json_string(sl_json_get(sl_json_root(doc), "a")), "1");
    assert_string_equal(sl_json_string(sl_json_get(sl_json_root(doc), "A")), "2");
    assert_string_equal(sl_json_string(sl_json_get(sl_json_root(doc), "")), "3");
}

static void json_large_objects_find_every_member(void **state)
{
    (void)state;
    for (int n = 1; n < 400; n += 7) {
        struct sl_bytes text = {0};
        for (int i = 0; i < n; i++) {
            char one[64];
            (void)snprintf(one, sizeof(one), "%c\"name-%d\":%d", i ? ',' : '{', i, i);
            assert_int_equal(sl_bytes_append(&text, sl_span_of(one), SIZE_MAX, NULL), 0);
        }
        assert_int_equal(sl_bytes_append(&text, sl_span_of("}"), SIZE_MAX, NULL), 0);
        SL_AUTO(sl_json_doc) doc = open_doc((const char *)text.data);
        for (int i = 0; i < n; i++) {
            char name[32];
            int64_t v;
            (void)snprintf(name, sizeof(name), "name-%d", i);
            assert_true(sl_json_int64(sl_json_get(sl_json_root(doc), name), &v));
            assert_int_equal(v, i);
        }
        assert_null(sl_json_get(sl_json_root(doc), "name-x"));
        sl_bytes_done(&text);
    }
}

/* ---- refused ---- */

static void json_syntax_errors_are_refused(void **state)
{
    (void)state;
    static const struct sl_span bad[] = {
        TEXT(""),
        TEXT(" \n"),
        TEXT("{"),
        TEXT("["),
        TEXT("\"open"),
        TEXT("{\"a\"}"),
        TEXT("{\"a\":}"),
        TEXT("{\"a\":1,}"),
        TEXT("{,}"),
        TEXT("{a:1}"),
        TEXT("{'a':1}"),
        TEXT("{1:1}"),
        TEXT("[1,]"),
        TEXT("[,1]"),
        TEXT("[1 2]"),
        TEXT("[1"),
        TEXT("]"),
        TEXT("}"),
        TEXT("[}"),
        TEXT("nul"),
        TEXT("True"),
        TEXT("NaN"),
        TEXT("[Infinity]"),
        TEXT("[01]"),
        TEXT("[+1]"),
        TEXT("[.5]"),
        TEXT("[1.]"),
        TEXT("[1e]"),
        TEXT("[0x10]"),
        TEXT("[-]"),
        TEXT("[1]// comment"),
        TEXT("[1]/* comment */"),
        TEXT("/**/[1]"),
        TEXT("\"tab\tin a string\""),
        TEXT("\"line\nfeed\""),
        TEXT("\"\\x41\""),
        TEXT("\"\\u12\""),
        TEXT("\"\\u12g4\""),
        TEXT("\"\\"),
        TEXT("\xef\xbb\xbf{}"), /* a byte order mark */
        TEXT("\f{}"),
        TEXT("{}\0"),
        TEXT("\0{}"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], SL_E_FORMAT);
}

static void json_trailing_bytes_are_refused(void **state)
{
    (void)state;
    assert_refused(TEXT("{} {}"), SL_E_FORMAT);
    assert_refused(TEXT("{}x"), SL_E_FORMAT);
    assert_refused(TEXT("1 2"), SL_E_FORMAT);
    assert_refused(TEXT("\"a\"\"b\""), SL_E_FORMAT);
    assert_refused(TEXT("{}]"), SL_E_FORMAT);
}

static void json_duplicate_members_are_refused(void **state)
{
    (void)state;
    assert_refused(TEXT("{\"a\":1,\"a\":1}"), SL_E_FORMAT);
    assert_refused(TEXT("{\"a\":1,\"b\":2,\"\\u0061\":3}"), SL_E_FORMAT);
    assert_refused(TEXT("{\"x\":[{\"\":1,\"\":2}]}"), SL_E_FORMAT);
    /* The same name in different objects is none. */
    SL_AUTO(sl_json_doc) doc = open_doc("{\"a\":{\"a\":1},\"b\":{\"a\":2}}");
    assert_non_null(doc);
}

static void json_duplicates_in_indexed_objects_are_refused(void **state)
{
    (void)state;
    enum { N = 40 };
    for (int twin = 0; twin < N; twin++) {
        struct sl_bytes text = {0};
        for (int i = 0; i <= N; i++) {
            char one[32];
            (void)snprintf(one, sizeof(one), "%c\"%d\":0", i ? ',' : '{', i == N ? twin : i);
            assert_int_equal(sl_bytes_append(&text, sl_span_of(one), SIZE_MAX, NULL), 0);
        }
        assert_int_equal(sl_bytes_append(&text, sl_span_of("}"), SIZE_MAX, NULL), 0);
        assert_refused(sl_bytes_span(&text), SL_E_FORMAT);
        sl_bytes_done(&text);
    }
}

static void json_nul_in_a_string_is_refused(void **state)
{
    (void)state;
    assert_refused(TEXT("\"a\\u0000b\""), SL_E_FORMAT);
    assert_refused(TEXT("{\"a\\u0000\":1}"), SL_E_FORMAT);
    assert_refused(TEXT("\"a\0b\""), SL_E_FORMAT);
}

static void json_what_is_not_utf8_is_refused(void **state)
{
    (void)state;
    static const struct sl_span bad[] = {
        TEXT("\"\x80\""),             /* a lone continuation */
        TEXT("\"\xc3\""),             /* cut short */
        TEXT("\"\xe2\x82\""),         /* cut short */
        TEXT("\"\xc0\x80\""),         /* NUL, two bytes */
        TEXT("\"\xc1\xbf\""),         /* overlong */
        TEXT("\"\xe0\x80\xaf\""),     /* overlong slash */
        TEXT("\"\xf0\x80\x80\xaf\""), /* overlong slash */
        TEXT("\"\xed\xa0\x80\""),     /* a surrogate */
        TEXT("\"\xf4\x90\x80\x80\""), /* above U+10FFFF */
        TEXT("\"\xf5\x80\x80\x80\""),
        TEXT("\"\xff\""),
        TEXT("{\"\xc0\xaf\":1}"),
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], SL_E_FORMAT);
    SL_AUTO(sl_json_doc) doc =
        open_doc("\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 "
                 "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"");
    assert_non_null(doc);
}

static void json_broken_surrogates_are_refused(void **state)
{
    (void)state;
    assert_refused(TEXT("\"\\ud800\""), SL_E_FORMAT);
    assert_refused(TEXT("\"\\udc00\""), SL_E_FORMAT);
    assert_refused(TEXT("\"\\ud800x\""), SL_E_FORMAT);
    assert_refused(TEXT("\"\\ud800\\u0041\""), SL_E_FORMAT);
    assert_refused(TEXT("\"\\ud800\\n\""), SL_E_FORMAT);
    assert_refused(TEXT("\"\\udc00\\ud800\""), SL_E_FORMAT);
    assert_refused(TEXT("{\"\\uD800\":1}"), SL_E_FORMAT);
    SL_AUTO(sl_json_doc) doc = open_doc("\"\\\\ud800\"");
    assert_string_equal(sl_json_string(sl_json_root(doc)), "\\ud800");
}

/* ---- limits ---- */

static void json_size_limit_is_exact(void **state)
{
    (void)state;
    struct sl_error err = {0};
    const struct sl_json_limits limits = {.size = 8};
    assert_int_equal(parse(TEXT("[1,2,34]"), &limits, &err), 0);
    assert_int_equal(parse(TEXT("[1,2,345]"), &limits, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
}

static struct sl_bytes nested(size_t depth)
{
    struct sl_bytes text = {0};
    for (size_t i = 0; i < 2 * depth; i++)
        assert_int_equal(sl_bytes_append(&text, sl_span_of(i < depth ? "[" : "]"), SIZE_MAX, NULL),
                         0);
    return text;
}

static void json_depth_limit_is_exact(void **state)
{
    (void)state;
    static const struct {
        size_t limit, good;
    } rows[] = {{0, 32}, {1, 1}, {5, 5}, {128, 128}, {100000, 128}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sl_json_limits limits = {.depth = rows[i].limit};
        struct sl_bytes good = nested(rows[i].good), bad = nested(rows[i].good + 1);
        struct sl_error err = {0};
        assert_int_equal(parse(sl_bytes_span(&good), &limits, &err), 0);
        assert_int_equal(parse(sl_bytes_span(&bad), &limits, &err), -E2BIG);
        assert_int_equal(err.code, SL_E_LIMIT);
        sl_bytes_done(&good);
        sl_bytes_done(&bad);
    }
}

static void json_endless_nesting_is_refused_early(void **state)
{
    (void)state;
    static char text[1024 * 1024];
    memset(text, '[', sizeof(text));
    assert_refused((struct sl_span){(const uint8_t *)text, sizeof(text)}, SL_E_LIMIT);
}

/* ---- accessors ---- */

static void json_integers_that_do_not_fit_are_no_integers(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc =
        open_doc("[9223372036854775807,-9223372036854775808,9223372036854775808,"
                 "-9223372036854775809,1.0,1e3,1E0,0.5,-0,\"1\",1e999]");
    const struct sl_json *a = sl_json_root(doc);
    int64_t v = 0;
    assert_true(sl_json_int64(sl_json_at(a, 0), &v) && v == INT64_MAX);
    assert_true(sl_json_int64(sl_json_at(a, 1), &v) && v == INT64_MIN);
    v = 77;
    for (size_t i = 2; i < 8; i++)
        assert_false(sl_json_int64(sl_json_at(a, i), &v));
    assert_false(sl_json_int64(sl_json_at(a, 9), &v));
    assert_false(sl_json_int64(sl_json_at(a, 10), &v));
    assert_int_equal(v, 77);
    assert_true(sl_json_int64(sl_json_at(a, 8), &v) && v == 0);
}

static void json_accessors_accept_null_and_other_types(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("[{\"a\":1}]");
    const struct sl_json *a = sl_json_root(doc);
    int64_t i = 5;
    bool b = true;
    assert_null(sl_json_root(NULL));
    assert_null(sl_json_get(sl_json_get(NULL, "a"), "b"));
    assert_null(sl_json_get(a, "a"));
    assert_null(sl_json_at(NULL, 0));
    assert_null(sl_json_at(a, 1));
    assert_null(sl_json_name_at(NULL, 0));
    assert_null(sl_json_name_at(a, 0));
    assert_null(sl_json_string(sl_json_get(sl_json_at(a, 0), "a")));
    assert_int_equal(sl_json_count(NULL), 0);
    assert_int_equal(sl_json_type(NULL), SL_JSON_NULL);
    assert_false(sl_json_int64(NULL, &i) || sl_json_bool(NULL, &b));
    assert_int_equal(i, 5);
    assert_null(sl_json_free(NULL));
}

static void json_need_string_names_what_is_wrong(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("{\"s\":\"v\",\"n\":1,\"z\":null}");
    const struct sl_json *o = sl_json_root(doc);
    const char *text = "untouched";
    struct sl_error err = {0};
    assert_int_equal(sl_json_need_string(o, "missing", &text, &err), -EINVAL);
    assert_string_equal(err.msg, "member 'missing' is missing");
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_int_equal(sl_json_need_string(o, "n", &text, &err), -EINVAL);
    assert_string_equal(err.msg, "member 'n' must be a string");
    assert_int_equal(sl_json_need_string(o, "z", &text, &err), -EINVAL);
    assert_string_equal(text, "untouched");
    assert_int_equal(sl_json_need_string(o, "s", &text, &err), 0);
    assert_string_equal(text, "v");
}

static void json_need_base64_is_strict(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("{\"b\":\"Zm9v\",\"bad\":\"Zm8\",\"n\":1}");
    const struct sl_json *o = sl_json_root(doc);
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_json_need_base64(o, "missing", &bytes, &err), -EINVAL);
    assert_string_equal(err.msg, "member 'missing' is missing");
    assert_int_equal(sl_json_need_base64(o, "n", &bytes, &err), -EINVAL);
    assert_true(sl_json_need_base64(o, "bad", &bytes, &err) < 0);
    assert_null(bytes.data);
    assert_int_equal(sl_json_need_base64(o, "b", &bytes, &err), 0);
    assert_string_equal((char *)bytes.data, "foo");
}

static void json_syntax_error_does_not_quote_the_text(void **state)
{
    (void)state;
    struct sl_error err = {0};
    assert_int_equal(parse(TEXT("{\"key\":\"secret\" oops}"), NULL, &err), -EINVAL);
    assert_null(strstr(err.msg, "secret"));
}

/* ---- what was read is written again ---- */

static void json_nodes_are_written_as_they_were_read(void **state)
{
    (void)state;
    static const char text[] = "{\"big\":18446744073709551617,\"e\":1.50e+3,\"o\":{\"b\":[true,"
                               "false,null,{},[]],\"\":\"\"},"
                               "\"s\":\"a\\\"\\\\\\n\\u0001\xc3\xa9/\"}\n";
    SL_AUTO(sl_json_doc) doc = open_doc(text);
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) out = {0};
    const struct sl_json *root = sl_json_root(doc);
    for (size_t i = 0; i < sl_json_count(root); i++)
        sl_json_put_node(w, sl_json_name_at(root, i), sl_json_at(root, i));
    struct sl_error err = {0};
    assert_int_equal(sl_json_end(w, &out, &err), 0);
    assert_string_equal((const char *)out.data, text);
}

static void json_missing_node_is_written_as_null(void **state)
{
    (void)state;
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) out = {0};
    sl_json_put_node(w, "x", NULL);
    sl_json_put_node(NULL, "x", NULL);
    assert_int_equal(sl_json_end(w, &out, NULL), 0);
    assert_string_equal((const char *)out.data, "{\"x\":null}\n");
}

/* ---- places ---- */

static void assert_place(const struct sl_json *node, uint32_t line, uint32_t column)
{
    struct sl_json_place place = sl_json_place_of(node);
    assert_int_equal(place.line, line);
    assert_int_equal(place.column, column);
}

static void json_nodes_know_their_place(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("\n {\"a\" :1,\r\n\t\"b\":[ true,\"x\\n\\\"y\" ,\n"
                                        "\"\xe2\x82\xac\xf0\x9f\x98\x80\",-1.5e3, null],\n"
                                        "\"c\":{} , \"d\\u0061\"\n:\n\"z\"}");
    const struct sl_json *root = sl_json_root(doc);
    const struct sl_json *b = sl_json_get(root, "b");
    assert_place(root, 2, 2);
    assert_place(sl_json_get(root, "a"), 2, 3);
    assert_place(b, 3, 2);
    assert_place(sl_json_at(b, 0), 3, 8);
    assert_place(sl_json_at(b, 1), 3, 13);
    assert_place(sl_json_at(b, 2), 4, 1);
    assert_place(sl_json_at(b, 3), 4, 6); /* two characters of seven bytes, and their quotes */
    assert_place(sl_json_at(b, 4), 4, 14);
    assert_place(sl_json_get(root, "c"), 5, 1);
    assert_place(sl_json_get(root, "da"), 5, 10);
    assert_place(NULL, 0, 0);
}

static void json_error_says_line_and_column(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"a\":1,}", "line 1, column 8"},
        {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7"},
        {"[1\n,,2]", "line 2, column 2"},
        {"{,}", "line 1, column 2"},
        {"[1,\n 2", "line 2, column 2"},
        {"{\"a\":\n", "line 2, column 1"},
        {"", "line 1, column 1"},
        {"{} x", "line 1, column 4"},
        {"[\n\"\\q\"]", "line 2, column 1"},
        {"[\n \"\xff\"]", "line 2, column 3: not valid JSON: a character"},
        {"{\"a\":1,\n\"b\":2, \"a\":3}", "line 2, column 8: member 'a' appears twice"},
        {"[\n\"a\\u0000\"]", "line 2, column 1: a string holds a NUL"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        assert_true(parse(sl_span_of(cases[i][0]), NULL, &err) < 0);
        if (strncmp(err.msg + strlen("document: "), cases[i][1], strlen(cases[i][1])) != 0)
            fail_msg("%s: %s", cases[i][0], err.msg);
    }
}

static void json_wrap_puts_the_place_in_front(void **state)
{
    (void)state;
    SL_AUTO(sl_json_doc) doc = open_doc("[\n 1]");
    struct sl_error err = {0};
    int r = sl_error_set(&err, SL_E_FORMAT, EINVAL, "no");
    assert_int_equal(sl_json_wrap(NULL, &err, r), -EINVAL);
    assert_string_equal(err.msg, "no");
    assert_int_equal(sl_json_wrap(sl_json_at(sl_json_root(doc), 0), &err, r), -EINVAL);
    assert_string_equal(err.msg, "line 2, column 2: no");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_every_type_is_read),
        cmocka_unit_test(json_scalar_may_be_the_document),
        cmocka_unit_test(json_escapes_are_decoded),
        cmocka_unit_test(json_names_are_compared_after_decoding),
        cmocka_unit_test(json_large_objects_find_every_member),
        cmocka_unit_test(json_syntax_errors_are_refused),
        cmocka_unit_test(json_trailing_bytes_are_refused),
        cmocka_unit_test(json_duplicate_members_are_refused),
        cmocka_unit_test(json_duplicates_in_indexed_objects_are_refused),
        cmocka_unit_test(json_nul_in_a_string_is_refused),
        cmocka_unit_test(json_what_is_not_utf8_is_refused),
        cmocka_unit_test(json_broken_surrogates_are_refused),
        cmocka_unit_test(json_size_limit_is_exact),
        cmocka_unit_test(json_depth_limit_is_exact),
        cmocka_unit_test(json_endless_nesting_is_refused_early),
        cmocka_unit_test(json_integers_that_do_not_fit_are_no_integers),
        cmocka_unit_test(json_accessors_accept_null_and_other_types),
        cmocka_unit_test(json_need_string_names_what_is_wrong),
        cmocka_unit_test(json_need_base64_is_strict),
        cmocka_unit_test(json_syntax_error_does_not_quote_the_text),
        cmocka_unit_test(json_nodes_are_written_as_they_were_read),
        cmocka_unit_test(json_missing_node_is_written_as_null),
        cmocka_unit_test(json_nodes_know_their_place),
        cmocka_unit_test(json_error_says_line_and_column),
        cmocka_unit_test(json_wrap_puts_the_place_in_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
