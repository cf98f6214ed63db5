/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/key_provider.h"

#include "assert_result.h"
#include "scratch_dir.h"

#define VARIABLE "OCICRYPT_KEYPROVIDER_CONFIG"

static struct sl_providers *parse(const char *json)
{
    struct sl_providers *providers = NULL;
    struct sl_error err = {0};
    assert_done(sl_providers_parse(sl_span_of(json), &providers, &err));
    return providers;
}

/* As in ocicrypt's docs/keyprovider.md, with ocicrypt-rs' ttrpc and native. */
static const char worked_example[] =
    "{\"key-providers\":{"
    "\"attestation-agent\":{\"ttrpc\":\"unix:///run/confidential-containers/cdh.sock\"},"
    "\"byGrpc\":{\"grpc\":\"127.0.0.1:50000\",\"grpc-tls\":{\"root-ca-file\":\"/ca\","
    "\"cert-file\":\"/cert\",\"key-file\":\"/key\",\"server-name\":\"kp\","
    "\"insecure-skip-verify\":true}},"
    "\"byCmd\":{\"cmd\":{\"path\":\"/usr/lib/kp\",\"args\":[\"-x\",\"\"]}},"
    "\"inProcess\":{\"native\":\"attestation-agent\"}}}";

static void parse_worked_example_reads_every_way(void **state)
{
    (void)state;
    SL_AUTO(sl_providers) providers = parse(worked_example);
    const struct sl_provider *p = sl_providers_find(providers, "attestation-agent");
    assert_int_equal(p->transport, SL_PROVIDER_TTRPC);
    assert_string_equal(p->target, "unix:///run/confidential-containers/cdh.sock");
    p = sl_providers_find(providers, "byGrpc");
    assert_int_equal(p->transport, SL_PROVIDER_GRPC);
    assert_string_equal(p->target, "127.0.0.1:50000");
    assert_true(p->tls.enabled && p->tls.insecure_skip_verify);
    assert_string_equal(p->tls.root_ca_file, "/ca");
    assert_string_equal(p->tls.cert_file, "/cert");
    assert_string_equal(p->tls.key_file, "/key");
    assert_string_equal(p->tls.server_name, "kp");
    p = sl_providers_find(providers, "byCmd");
    assert_int_equal(p->transport, SL_PROVIDER_CMD);
    assert_string_equal(p->argv[0], "/usr/lib/kp");
    assert_string_equal(p->argv[1], "-x");
    assert_string_equal(p->argv[2], "");
    assert_null(p->argv[3]);
}

static void find_is_by_exact_name_and_native_is_unknown(void **state)
{
    (void)state;
    SL_AUTO(sl_providers) providers = parse(worked_example);
    assert_true(sl_providers_has(providers, "byCmd"));
    assert_false(sl_providers_has(providers, "bycmd"));
    assert_false(sl_providers_has(providers, "byCm"));
    assert_false(sl_providers_has(providers, ""));
    assert_false(sl_providers_has(providers, "inProcess"));
    assert_string_equal(sl_providers_at(providers, 0)->name, "attestation-agent");
    assert_string_equal(sl_providers_at(providers, 2)->name, "byCmd");
    assert_null(sl_providers_at(providers, 3));
}

static void parse_several_ways_takes_the_first_of_cmd_grpc_ttrpc(void **state)
{
    (void)state;
    SL_AUTO(sl_providers)
    providers = parse("{\"key-providers\":{"
                      "\"all\":{\"native\":\"n\",\"ttrpc\":\"t\",\"grpc\":\"g\","
                      "\"cmd\":{\"path\":\"c\",\"args\":null}},"
                      "\"two\":{\"ttrpc\":\"t\",\"grpc\":\"g\",\"cmd\":null,\"grpc-tls\":null},"
                      "\"one\":{\"native\":\"n\",\"ttrpc\":\"t\",\"grpc\":\"\"},"
                      "\"tls\":{\"grpc\":\"g\",\"grpc-tls\":{}}}}");
    assert_int_equal(sl_providers_at(providers, 0)->transport, SL_PROVIDER_CMD);
    assert_string_equal(sl_providers_at(providers, 0)->argv[0], "c");
    assert_null(sl_providers_at(providers, 0)->argv[1]);
    assert_int_equal(sl_providers_at(providers, 1)->transport, SL_PROVIDER_GRPC);
    assert_false(sl_providers_at(providers, 1)->tls.enabled);
    assert_int_equal(sl_providers_at(providers, 2)->transport, SL_PROVIDER_TTRPC);
    assert_true(sl_providers_at(providers, 3)->tls.enabled);
    assert_false(sl_providers_at(providers, 3)->tls.insecure_skip_verify);
}

static void parse_nothing_has_no_providers(void **state)
{
    (void)state;
    static const char *const empty[] = {"{}", "{\"key-providers\":null}", "{\"key-providers\":{}}",
                                        "{\"other\":1}"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
        SL_AUTO(sl_providers) providers = parse(empty[i]);
        assert_null(sl_providers_at(providers, 0));
    }
}

#define ENTRY(entry) "{\"key-providers\":{\"a\":" entry "}}"

static void parse_wrong_configuration_says_what_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "not valid JSON"},
        {"[]", "must be an object"},
        {"{\"key-providers\":[]}", "'key-providers' must be an object"},
        {ENTRY("null"), "'a': must be an object"},
        {ENTRY("{}"), "'a': names none of 'cmd', 'grpc', 'ttrpc' and 'native'"},
        {ENTRY("{\"path\":\"/usr/lib/kp\",\"args\":[]}"), "'a': names none of"},
        {ENTRY("{\"grpc\":\"\",\"native\":null}"), "'a': names none of"},
        {ENTRY("{\"grpc\":1}"), "'a': 'grpc' must be a string"},
        {ENTRY("{\"ttrpc\":{}}"), "'a': 'ttrpc' must be a string"},
        {ENTRY("{\"cmd\":\"/usr/lib/kp\"}"), "'a': 'cmd' must be an object"},
        {ENTRY("{\"cmd\":{}}"), "'a': 'cmd' has no 'path'"},
        {ENTRY("{\"cmd\":{\"path\":\"\"}}"), "'a': 'cmd' has no 'path'"},
        {ENTRY("{\"cmd\":{\"path\":[]}}"), "'a': 'path' must be a string"},
        {ENTRY("{\"cmd\":{\"path\":\"x\",\"args\":\"-x\"}}"), "'a': 'args' must be a list"},
        {ENTRY("{\"cmd\":{\"path\":\"x\",\"args\":[\"a\",1]}}"),
         "'args' must be a list of strings"},
        {ENTRY("{\"grpc\":\"x\",\"grpc-tls\":true}"), "'grpc-tls' must be an object"},
        {ENTRY("{\"grpc\":\"x\",\"grpc-tls\":{\"key-file\":\"k\"}}"), "need one another"},
        {ENTRY("{\"grpc\":\"x\",\"grpc-tls\":{\"server-name\":1}}"), "'server-name' must be"},
        {ENTRY("{\"grpc\":\"x\",\"grpc-tls\":{\"insecure-skip-verify\":\"false\"}}"),
         "'insecure-skip-verify' must be true or false"},
        {"{\"key-providers\":{\"a\":{\"grpc\":\"x\"},\"a\":{\"grpc\":\"y\"}}}", "appears twice"},
        {"{\"key-providers\":{\"\":{\"grpc\":\"x\"}}}", "a name has 1 to 255 bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_providers) providers = NULL;
        struct sl_error err = {0};
        struct sl_span json = sl_span_of(cases[i].json);
        int r = sl_providers_parse(json, &providers, &err);
        if (r >= 0 || providers || err.code != SL_E_FORMAT || !strstr(err.msg, cases[i].message) ||
            strncmp(err.msg, "key provider configuration: ", 28) != 0)
            fail_msg("%s: %d, %s: %s", cases[i].json, r, sl_errc_name(err.code), err.msg);
    }
}

static void open_takes_the_named_file_or_that_of_the_environment(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    scratch_write(&dir, "named", "{\"key-providers\":{\"named\":{\"grpc\":\"x\"}}}", 0600);
    scratch_write(&dir, "env", "{\"key-providers\":{\"env\":{\"grpc\":\"x\"}}}", 0600);
    SL_AUTO_FREE char *named = scratch_path(&dir, "named");
    SL_AUTO_FREE char *env = scratch_path(&dir, "env");
    SL_AUTO(sl_providers) by_name = NULL;
    SL_AUTO(sl_providers) by_env = NULL;
    SL_AUTO(sl_providers) by_empty = NULL;
    SL_AUTO(sl_providers) by_nothing = NULL;
    struct sl_error err = {0};
    assert_int_equal(setenv(VARIABLE, env, 1), 0);
    assert_done(sl_providers_open(named, &by_name, &err));
    assert_done(sl_providers_open(NULL, &by_env, &err));
    assert_int_equal(setenv(VARIABLE, "", 1), 0);
    assert_done(sl_providers_open(NULL, &by_empty, &err));
    assert_int_equal(unsetenv(VARIABLE), 0);
    assert_done(sl_providers_open(NULL, &by_nothing, &err));
    assert_string_equal(sl_providers_at(by_name, 0)->name, "named");
    assert_string_equal(sl_providers_at(by_env, 0)->name, "env");
    assert_null(sl_providers_at(by_empty, 0));
    assert_null(sl_providers_at(by_nothing, 0));
}

static void open_missing_file_is_an_error(void **state)
{
    (void)state;
    SL_AUTO(sl_providers) providers = NULL;
    struct sl_error err = {0};
    assert_int_equal(setenv(VARIABLE, "/nonexistent/kp.json", 1), 0);
    assert_error(sl_providers_open(NULL, &providers, &err), ENOENT, SL_E_SYSTEM,
                 "key provider configuration: /nonexistent/kp.json");
    assert_int_equal(unsetenv(VARIABLE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_worked_example_reads_every_way),
        cmocka_unit_test(find_is_by_exact_name_and_native_is_unknown),
        cmocka_unit_test(parse_several_ways_takes_the_first_of_cmd_grpc_ttrpc),
        cmocka_unit_test(parse_nothing_has_no_providers),
        cmocka_unit_test(parse_wrong_configuration_says_what_and_where),
        cmocka_unit_test(open_takes_the_named_file_or_that_of_the_environment),
        cmocka_unit_test(open_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
