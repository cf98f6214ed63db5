/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_challenge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct want {
    const char *headers;
    enum sl_auth_scheme scheme;
    const char *realm, *service, *scope, *error;
};

static void check_text(const char *got, const char *want)
{
    if (!want)
        assert_null(got);
    else
        assert_string_equal(got ? got : "(none)", want);
}

static void check(const struct want *w)
{
    SL_AUTO_DONE(sl_auth_challenge) c = {0};
    struct sl_error err;
    /* Exactly as large as the text, so that the sanitizer sees an overread. */
    size_t len = strlen(w->headers);
    SL_AUTO_FREE uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, w->headers, len);
    assert_int_equal(sl_auth_challenge_parse((struct sl_span){copy, len}, &c, &err), 0);
    assert_int_equal(c.scheme, w->scheme);
    check_text(c.realm, w->realm);
    check_text(c.service, w->service);
    check_text(c.scope, w->scope);
    check_text(c.error, w->error);
}

/* The examples of distribution's spec/auth/token.md and of RFC 9110 11.6.1, and what docker.io,
 * ghcr.io and an htpasswd registry send. */
static void challenge_of_real_registries_is_understood(void **state)
{
    (void)state;
    static const struct want table[] = {
        {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
         "scope=\"repository:samalba/my-app:pull,push\"\n",
         SL_AUTH_BEARER, "https://auth.docker.io/token", "registry.docker.io",
         "repository:samalba/my-app:pull,push", NULL},
        {"Bearer realm=\"https://ghcr.io/token\",service=\"ghcr.io\","
         "scope=\"repository:user/image:pull\"\n",
         SL_AUTH_BEARER, "https://ghcr.io/token", "ghcr.io", "repository:user/image:pull", NULL},
        {"Basic realm=\"Registry Realm\"\n", SL_AUTH_BASIC, "Registry Realm", NULL, NULL, NULL},
        {"Bearer realm=\"https://a/t\",service=\"s\",scope=\"x\",error=\"insufficient_scope\"\n",
         SL_AUTH_BEARER, "https://a/t", "s", "x", "insufficient_scope"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(&table[i]);
}

static void challenge_several_takes_bearer_then_basic(void **state)
{
    (void)state;
    static const struct want table[] = {
        {"Basic realm=\"simple\", Bearer realm=\"https://t/\", service=\"a, b\"\n", SL_AUTH_BEARER,
         "https://t/", "a, b", NULL, NULL},
        {"Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic "
         "realm=\"simple\"\n",
         SL_AUTH_BASIC, "simple", NULL, NULL, NULL},
        {"Negotiate YIIabc==, Basic realm=\"x\"\n", SL_AUTH_BASIC, "x", NULL, NULL, NULL},
        {"Negotiate\nBasic realm=\"1\"\nBearer realm=\"https://2\"\nBearer realm=\"https://3\"\n",
         SL_AUTH_BEARER, "https://2", NULL, NULL, NULL},
        {"Negotiate, Basic realm=\"x\"\n", SL_AUTH_BASIC, "x", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(&table[i]);
}

static void challenge_case_and_blanks_do_not_matter(void **state)
{
    (void)state;
    static const struct want table[] = {
        {"bEARER  ReAlM = \"https://t\" ,\tSERVICE=\"s\"\n", SL_AUTH_BEARER, "https://t", "s", NULL,
         NULL},
        {"BASIC\n", SL_AUTH_BASIC, NULL, NULL, NULL, NULL},
        {"Bearer realm=https://t/token?x=1,service=s\n", SL_AUTH_BEARER, "https://t/token?x=1", "s",
         NULL, NULL},
        {"Bearer ,, realm=\"a\\\\b\\\"c\"\n", SL_AUTH_BEARER, "a\\b\"c", NULL, NULL, NULL},
        {"Bearer realm=\"first\",realm=\"second\"\n", SL_AUTH_BEARER, "first", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(&table[i]);
}

static void challenge_broken_gives_nothing_and_spares_other_lines(void **state)
{
    (void)state;
    static const struct want table[] = {
        {"", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"\n", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"Digest realm=\"x\"\n", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"Bearer service=\"no realm\"\n", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"Bearer realm=\"https://t", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"Bearer realm=\"https://t\\", SL_AUTH_NONE, NULL, NULL, NULL, NULL},
        {"Bearer realm=\"https://t\n\"\nBasic realm=\"ok\"\n", SL_AUTH_BASIC, "ok", NULL, NULL,
         NULL},
        {"\"\"\"\n=====\nBearer\nbasic realm=\"ok\"", SL_AUTH_BASIC, "ok", NULL, NULL, NULL},
        {"Bearer realm=\"https://t\",scope=\"a\rX-Evil: 1\"\n", SL_AUTH_BEARER, "https://t", NULL,
         NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check(&table[i]);
}

static void challenge_huge_parameter_ends_the_line(void **state)
{
    (void)state;
    enum { LEN = 20000 };
    SL_AUTO_FREE char *text = calloc(1, LEN + 100);
    int n = snprintf(text, LEN, "Bearer realm=\"https://t\",scope=\"");
    memset(text + n, 'a', LEN);
    memcpy(text + n + LEN, "\",service=\"s\"\n", 15);
    check(&(struct want){text, SL_AUTH_BEARER, "https://t", NULL, NULL, NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenge_of_real_registries_is_understood),
        cmocka_unit_test(challenge_several_takes_bearer_then_basic),
        cmocka_unit_test(challenge_case_and_blanks_do_not_matter),
        cmocka_unit_test(challenge_broken_gives_nothing_and_spares_other_lines),
        cmocka_unit_test(challenge_huge_parameter_ends_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
