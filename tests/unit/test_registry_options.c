/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials and rules that the caller holds in memory, as the endpoints come to see them. */
#include "docker_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* base64 of "me:secret" */
#define AUTH_JSON "{\"auths\":{\"mirror.example\":{\"auth\":\"bWU6c2VjcmV0\"}}}"
#define RULES                                                                                      \
    "[[registry]]\nlocation = \"quay.io\"\n[[registry.mirror]]\nlocation = \"mirror.example\"\n"

/* Opens the first place of quay.io/a/b; nobody is contacted. */
static void assert_first_place(const struct sl_registry_options *options, const char *host,
                               const char *username, const char *password)
{
    SL_AUTO(sl_registry) registry = NULL;
    SL_AUTO(sl_mirror_plan) plan = NULL;
    const struct sl_registry_rules *rules = NULL;
    struct sl_error err = {0};
    char name[] = "quay.io", repository[] = "a/b", tag[] = "c";
    const struct sl_reference ref = {.host = name, .repository = repository, .tag = tag};
    assert_int_equal(sl_registry_new(options, &registry, &err), 0);
    assert_int_equal(sl_registry_get_rules(registry, &rules, &err), 0);
    assert_int_equal(sl_mirror_plan(rules, &ref, true, &plan, &err), 0);
    struct sl_docker_endpoint ep;
    sl_docker_endpoint_init(&ep, registry, &plan->endpoints[0]);
    if (sl_docker_endpoint_open(&ep, &err) != 0)
        fail_msg("%s", err.msg);
    assert_true(sl_docker_endpoint_is_ready(&ep));
    assert_string_equal(ep.plan->host, host);
    assert_string_equal(ep.auth.credentials.username, username);
    assert_string_equal(ep.auth.credentials.password, password);
    sl_docker_endpoint_done(&ep);
}

static void options_texts_stand_for_files(void **state)
{
    (void)state;
    const struct sl_registry_options options = {
        .auth_json = AUTH_JSON,
        .authfile = "/nonexistent/auth.json",
        .registries_conf_text = RULES,
        .registries_conf = "/nonexistent/registries.conf",
    };
    assert_first_place(&options, "mirror.example", "me", "secret");
}

static void options_creds_beat_the_auth_text(void **state)
{
    (void)state;
    const struct sl_registry_options options = {
        .auth_json = AUTH_JSON, .creds = "you:other", .registries_conf_text = RULES};
    assert_first_place(&options, "mirror.example", "you", "other");
}

static void options_broken_texts_are_format_errors(void **state)
{
    (void)state;
    const struct sl_registry_options options = {.registries_conf_text =
                                                    "unqualified-search-registries = 1\n"};
    SL_AUTO(sl_registry) registry = NULL;
    struct sl_error err = {0};
    assert_true(sl_registry_new(&options, &registry, &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_non_null(strstr(err.msg, "registries.conf"));
    assert_null(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_texts_stand_for_files),
        cmocka_unit_test(options_creds_beat_the_auth_text),
        cmocka_unit_test(options_broken_texts_are_format_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
