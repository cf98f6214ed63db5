/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef int parse_fn(const char *text, struct sl_resource_uri *ret, struct sl_error *err);

struct good {
    const char *text, *plugin, *host, *path;
    size_t n_segments;
    const char *query, *canonical;
};

static void expect_parsed(parse_fn *parse, const struct good *want)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    struct sl_error err = {0};
    if (parse(want->text, &uri, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(uri.plugin, want->plugin);
    assert_string_equal(uri.host, want->host);
    assert_string_equal(uri.path, want->path);
    assert_int_equal(uri.n_segments, want->n_segments);
    if (want->query)
        assert_string_equal(uri.query, want->query);
    else
        assert_null(uri.query);
    SL_AUTO_FREE char *canonical = sl_resource_uri_format(&uri);
    assert_string_equal(canonical, want->canonical);
}

static void expect_refused(parse_fn *parse, const char *text, enum sl_errc code, int errnum,
                           const char *in_msg)
{
    struct sl_resource_uri uri = {0};
    struct sl_error err = {0};
    assert_int_equal(parse(text, &uri, &err), -errnum);
    assert_string_equal(sl_errc_name(err.code), sl_errc_name(code));
    if (!strstr(err.msg, in_msg))
        fail_msg("'%s' is not in '%s'", in_msg, err.msg);
    assert_null(uri.path);
}

/* The table of the published grammar, then its edges. */
static void uri_well_formed_is_taken_apart(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"kbs:///alice/cosign-key/213", "resource", "", "alice/cosign-key/213", 3, NULL,
         "kbs:///alice/cosign-key/213"},
        {"kbs:///repo/type/tag?param1=value1&param2=value2", "resource", "", "repo/type/tag", 3,
         "param1=value1&param2=value2", "kbs:///repo/type/tag?param1=value1&param2=value2"},
        {"kbs+pkcs11:///repo/type/tag", "pkcs11", "", "repo/type/tag", 3, NULL,
         "kbs+pkcs11:///repo/type/tag"},
        {"kbs+custom://example.com:8080/repo/type/tag", "custom", "example.com:8080",
         "repo/type/tag", 3, NULL, "kbs+custom://example.com:8080/repo/type/tag"},
        {"kbs+resource:///repo/type/tag", "resource", "", "repo/type/tag", 3, NULL,
         "kbs:///repo/type/tag"},
        {"kbs:///one", "resource", "", "one", 1, NULL, "kbs:///one"},
        {"kbs:///a/b.c/_-.d", "resource", "", "a/b.c/_-.d", 3, NULL, "kbs:///a/b.c/_-.d"},
        {"kbs:///1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", "resource", "",
         "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", 16, NULL,
         "kbs:///1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"},
        {"kbs://[::1]:80/a/b/c", "resource", "[::1]:80", "a/b/c", 3, NULL, "kbs://[::1]:80/a/b/c"},
        {"kbs://[fe80::1.2.3.4]/a", "resource", "[fe80::1.2.3.4]", "a", 1, NULL,
         "kbs://[fe80::1.2.3.4]/a"},
        {"kbs:///a?", "resource", "", "a", 1, "", "kbs:///a?"},
        {"kbs:///a?b/c?d://e", "resource", "", "a", 1, "b/c?d://e", "kbs:///a?b/c?d://e"},
        {"kbs+a.b_c-d:///a", "a.b_c-d", "", "a", 1, NULL, "kbs+a.b_c-d:///a"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_parsed(sl_resource_uri_parse, &cases[i]);
        expect_parsed(sl_resource_uri_parse_kid, &cases[i]);
    }
}

static void uri_malformed_is_refused_and_the_part_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in_msg;
    } cases[] = {
        {"http:///repo/type/tag", "scheme must be kbs or kbs+<plugin>, not 'http'"},
        {"http://h/b/c/d", "scheme must be kbs or kbs+<plugin>, not 'http'"},
        {"KBS:///a/b/c", "scheme must be kbs or kbs+<plugin>, not 'KBS'"},
        {"kbsx:///a/b/c", "not 'kbsx'"},
        {"://a/b/c", "not ''"},
        {"kbs+:///repo/type/tag", "scheme kbs+ requires a plugin name, e.g. kbs+pkcs11"},
        {"kbs+Kbs:///a/b/c", "malformed plugin name 'Kbs'"},
        {"kbs+kbs+x:///a/b/c", "malformed plugin name 'kbs+x'"},
        {"kbs+.x:///a/b/c", "malformed plugin name '.x'"},
        {"kbs+a/b:///a/b/c", "malformed plugin name 'a/b'"},
        {"kbs://host", "invalid kbs resource uri, should be "
                       "kbs://<addr-of-kbs>/<repo>/<type>/<tag>"},
        {"kbs://", "invalid kbs resource uri"},
        {"kbs:///", "invalid kbs resource uri"},
        {"kbs:///a//b", "malformed path segment ''"},
        {"kbs:///a/b/c/", "malformed path segment ''"},
        {"kbs:///?x", "malformed path segment ''"},
        {"kbs:////a/b", "malformed path segment ''"},
        {"kbs:///a/../b", "malformed path segment '..'"},
        {"kbs:///a/./b", "malformed path segment '.'"},
        {"kbs:///a/b/.hidden", "malformed path segment '.hidden'"},
        {"kbs:///a/b/%63", "malformed path segment '%63'"},
        {"kbs:///a/b/c#f", "malformed path segment 'c#f'"},
        {"kbs:///a/b/c\n", "malformed path segment 'c"},
        {"kbs:///a/b/\xc3\xa9", "malformed path segment '"},
        {"kbs:///1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", "too many path segments, from '17'"},
        {"kbs://user@h/a/b/c", "malformed host 'user@h'"},
        {"kbs://h:x/a/b/c", "malformed host 'h:x'"},
        {"kbs://h:/a/b/c", "malformed host 'h:'"},
        {"kbs://:80/a/b/c", "malformed host ':80'"},
        {"kbs://h:123456/a/b/c", "malformed host 'h:123456'"},
        {"kbs://[::1/a/b/c", "malformed host '[::1'"},
        {"kbs://[]/a/b/c", "malformed host '[]'"},
        {"kbs://[::1]x/a/b/c", "malformed host '[::1]x'"},
        {"kbs://-h/a/b/c", "malformed host '-h'"},
        {"kbs://kbs://default/key/x", "malformed host 'kbs:'"},
        {"kbs:///kbs:///default/key/1", "the scheme is doubled in 'kbs:///default/key/1'"},
        {"kbs:///a/b/c?x y", "malformed query 'x y'"},
        {"kbs:///a/b/c?x#y", "malformed query 'x#y'"},
        {"kbs:///a/b/c?\x7f", "malformed query '"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_refused(sl_resource_uri_parse, cases[i].text, SL_E_FORMAT, EBADMSG, cases[i].in_msg);
        expect_refused(sl_resource_uri_parse_kid, cases[i].text, SL_E_FORMAT, EBADMSG,
                       cases[i].in_msg);
    }
}

static void kid_in_an_older_form_stands_for_its_uri(void **state)
{
    (void)state;
    static const struct good cases[] = {
        {"a/b/c/d", "resource", "a", "b/c/d", 3, NULL, "kbs://a/b/c/d"},
        {"/b/c/d", "resource", "", "b/c/d", 3, NULL, "kbs:///b/c/d"},
        {"host:80/b/c/d", "resource", "host:80", "b/c/d", 3, NULL, "kbs://host:80/b/c/d"},
        {"/default/image-kek/11032d96-dccd-46a3-9244-93644d76745f", "resource", "",
         "default/image-kek/11032d96-dccd-46a3-9244-93644d76745f", 3, NULL,
         "kbs:///default/image-kek/11032d96-dccd-46a3-9244-93644d76745f"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_parsed(sl_resource_uri_parse_kid, &cases[i]);
        expect_refused(sl_resource_uri_parse, cases[i].text, SL_E_FORMAT, EBADMSG,
                       "invalid kbs resource uri");
    }
}

static void kid_in_no_form_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *in_msg;
    } cases[] = {
        {"", "invalid kbs resource uri"},         {"b", "invalid kbs resource uri"},
        {"b/c/d", "invalid kbs resource uri"},    {"/b/c", "invalid kbs resource uri"},
        {"/b/c/d/e", "invalid kbs resource uri"}, {"/b/c/d?x", "invalid kbs resource uri"},
        {"/b/c/", "malformed path segment ''"},   {"/b/../d", "malformed path segment '..'"},
        {"u@h/b/c/d", "malformed host 'u@h'"},    {"kbs:a/b/c", "malformed host 'kbs:a'"},
        {"key_id1", "invalid kbs resource uri"},  {"null", "invalid kbs resource uri"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_refused(sl_resource_uri_parse_kid, cases[i].text, SL_E_FORMAT, EBADMSG,
                       cases[i].in_msg);
}

static void uri_of_1024_bytes_is_the_longest(void **state)
{
    (void)state;
    char text[1026] = "kbs:///";
    memset(text + 7, 'a', 1024 - 7);
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    assert_int_equal(sl_resource_uri_parse(text, &uri, NULL), 0);
    text[1024] = 'a';
    expect_refused(sl_resource_uri_parse, text, SL_E_LIMIT, E2BIG, "exceeds 1024 bytes");
    expect_refused(sl_resource_uri_parse_kid, text, SL_E_LIMIT, E2BIG, "exceeds 1024 bytes");
}

/* What a kid stands for must be a URI too. */
static void kid_in_an_older_form_leaves_room_for_its_uri(void **state)
{
    (void)state;
    char text[1020] = "/b/c/";
    memset(text + 5, 'a', 1018 - 5);
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    assert_int_equal(sl_resource_uri_parse_kid(text, &uri, NULL), 0);
    SL_AUTO_FREE char *canonical = sl_resource_uri_format(&uri);
    assert_int_equal(strlen(canonical), 1024);
    text[1018] = 'a';
    expect_refused(sl_resource_uri_parse_kid, text, SL_E_LIMIT, E2BIG, "exceeds 1018 bytes");
}

static void need_resource_wants_the_plugin_and_three_segments(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *in_msg; /* NULL: it is one */
    } cases[] = {
        {"kbs:///a/b/c", NULL},
        {"kbs+resource://h/a/b/c?q", NULL},
        {"kbs+pkcs11:///a/b/c", "only plugin resource is served here, not pkcs11"},
        {"kbs:///a/b", "resource uri path must be 3 instead of 2"},
        {"kbs:///a/b/c/d", "resource uri path must be 3 instead of 4"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        SL_AUTO_DONE(sl_resource_uri) uri = {0};
        struct sl_error err = {0};
        assert_int_equal(sl_resource_uri_parse(cases[i].text, &uri, NULL), 0);
        int r = sl_resource_uri_need_resource(&uri, &err);
        assert_int_equal(r, cases[i].in_msg ? -EBADMSG : 0);
        assert_string_equal(sl_errc_name(err.code),
                            sl_errc_name(cases[i].in_msg ? SL_E_FORMAT : SL_OK));
        assert_non_null(strstr(err.msg, cases[i].in_msg ? cases[i].in_msg : ""));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uri_well_formed_is_taken_apart),
        cmocka_unit_test(uri_malformed_is_refused_and_the_part_named),
        cmocka_unit_test(kid_in_an_older_form_stands_for_its_uri),
        cmocka_unit_test(kid_in_no_form_is_refused),
        cmocka_unit_test(uri_of_1024_bytes_is_the_longest),
        cmocka_unit_test(kid_in_an_older_form_leaves_room_for_its_uri),
        cmocka_unit_test(need_resource_wants_the_plugin_and_three_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
