/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/encryption_policy.h"

#include "assert_result.h"

#define DIGEST "sha256:dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"

static struct sl_encryption_policy *parse(const char *json)
{
    struct sl_encryption_policy *policy = NULL;
    struct sl_error err = {0};
    assert_done(sl_encryption_policy_parse(sl_span_of(json), &policy, &err));
    return policy;
}

/* ---- scopes ---- */

/* A policy with these scopes, separated by blanks; each name of cases must select its scope. */
static void assert_scopes(const char *scopes, const char *const (*cases)[2], size_t n)
{
    struct sl_bytes json = {0};
    struct sl_error err = {0};
    const char *head = "{\"default\":{\"encryption\":\"optional\"},\"scopes\":{";
    assert_done(sl_bytes_append(&json, sl_span_of(head), 1 << 20, &err));
    for (const char *s = scopes; *s; s += strcspn(s, " "), s += strspn(s, " ")) {
        SL_AUTO_FREE char *rule = sl_strf("%s\"%.*s\":{\"encryption\":\"required\"}",
                                          s == scopes ? "" : ",", (int)strcspn(s, " "), s);
        assert_done(sl_bytes_append(&json, sl_span_of(rule), 1 << 20, &err));
    }
    assert_done(sl_bytes_append(&json, sl_span_of("}}"), 1 << 20, &err));
    SL_AUTO(sl_encryption_policy) policy = parse((const char *)json.data);
    for (size_t i = 0; i < n; i++) {
        const struct sl_encryption_rule *rule = sl_encryption_policy_find(policy, cases[i][0]);
        if (strcmp(sl_encryption_rule_scope(rule), cases[i][1]) != 0)
            fail_msg("%s: scope '%s'", cases[i][0], sl_encryption_rule_scope(rule));
    }
    sl_bytes_done(&json);
}

/* The table of containers-policy.json(5)'s implementation, policy_eval_test.go. */
static void find_docker_name_takes_the_most_specific_scope(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"deep.com/n1/n2/n3/repo:tag2", "deep.com/n1/n2/n3/repo:tag2"},
        {"deep.com/n1/n2/n3/repo:nottag2", "deep.com/n1/n2/n3/repo"},
        {"deep.com/n1/n2/n3/repo@" DIGEST, "deep.com/n1/n2/n3/repo"},
        {"deep.com/n1/n2/n3/repo:tag2@" DIGEST, "deep.com/n1/n2/n3/repo"},
        {"deep.com/n1/n2/n3/notrepo:tag2", "deep.com/n1/n2/n3"},
        {"deep.com/n1/n2/n3/repository:tag2", "deep.com/n1/n2/n3"},
        {"deep.com/n1/n2/notn3/repo:tag2", "deep.com/n1/n2"},
        {"deep.com/n1/notn2/n3/repo:tag2", "deep.com/n1"},
        {"deep.com/notn1/n2/n3/repo:tag2", "deep.com"},
        {"very.deep.com/n1/n2/n3/repo:tag2", "*.deep.com"},
        {"not.very.deep.com/n1/n2/n3/repo:tag2", "*.very.deep.com"},
        {"not.very.deep.com:8443/n1/n2/n3/repo:tag2", "*.very.deep.com"},
        {"this.does-not/match:anything", ""},
        {"deep.com:8443/n1/n2/n3/repo:tag2", ""},
        {"notdeep.com/n1:tag2", ""},
        {"unmatched.org/unmatched:unmatched", ""},
    };
    assert_scopes("unmatched deep.com *.very.deep.com *.deep.com deep.com/n1 deep.com/n1/n2 "
                  "deep.com/n1/n2/n3 deep.com/n1/n2/n3/repo deep.com/n1/n2/n3/repo:tag2",
                  cases, sizeof(cases) / sizeof(cases[0]));
}

static void find_host_with_port_fits_as_written(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"test:5000/library/busybox:latest", "test:5000"},
        {"test:50000/library/busybox:latest", ""},
        {"test/library/busybox:latest", ""},
        {"yet.another.example.com:8443/ns/repo:tag", "*.com"},
        {"localhost/repo:tag", ""},
        {"[::1]:5000/a/b:tag", "[::1]:5000/a"},
    };
    assert_scopes("test:5000 *.com [::1]:5000/a", cases, sizeof(cases) / sizeof(cases[0]));
}

static void find_layout_goes_up_its_directories(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"oci:/srv/images/app:1", "oci:/srv/images/app:1"},
        {"oci:/srv/images/app:2", "oci:/srv/images"},
        {"oci:/srv/images/app@" DIGEST, "oci:/srv/images"},
        {"oci:/srv/images:1", "oci:/srv/images"},
        {"oci:/srv/imagesapp:1", "oci:"},
        {"oci:/srv/a@b/c:1", "oci:/srv/a@b"},
        {"oci:/srv.d/x:1", "oci:"},
        {"oci:/srv", "oci:"},
        {"oci:/", "oci:"},
        {"oci/srv:1", ""},
    };
    assert_scopes("oci:/srv/images oci:/srv/images/app:1 oci:/srv/a@b oci: *.d", cases,
                  sizeof(cases) / sizeof(cases[0]));
}

/* ---- layers ---- */

static void check_layer_follows_the_demand(void **state)
{
    (void)state;
    SL_AUTO(sl_encryption_policy)
    policy = parse("{\"default\":{\"encryption\":\"optional\"},\"scopes\":{"
                   "\"a.org\":{\"encryption\":\"required\"},"
                   "\"b.org\":{\"encryption\":\"forbidden\"}}}");
    const struct sl_encryption_rule *optional = sl_encryption_policy_find(policy, "c.org/x:1");
    const struct sl_encryption_rule *required = sl_encryption_policy_find(policy, "a.org/x:1");
    const struct sl_encryption_rule *forbidden = sl_encryption_policy_find(policy, "b.org/x:1");
    struct sl_error err = {0};
    assert_int_equal(sl_encryption_rule_demand(optional), SL_ENCRYPTION_OPTIONAL);
    assert_int_equal(sl_encryption_rule_demand(required), SL_ENCRYPTION_REQUIRED);
    assert_int_equal(sl_encryption_rule_demand(forbidden), SL_ENCRYPTION_FORBIDDEN);
    assert_done(sl_encryption_rule_check_layer(optional, true, &err));
    assert_done(sl_encryption_rule_check_layer(optional, false, &err));
    assert_done(sl_encryption_rule_check_layer(required, true, &err));
    assert_done(sl_encryption_rule_check_layer(forbidden, false, &err));
    assert_error(sl_encryption_rule_check_layer(required, false, &err), EACCES, SL_E_POLICY,
                 "the layer is not encrypted; the encryption policy forbids it (scope a.org)");
    assert_error(sl_encryption_rule_check_layer(forbidden, true, &err), EACCES, SL_E_POLICY,
                 "the layer is encrypted; the encryption policy forbids it (scope b.org)");
}

/* ---- keys ---- */

struct key_case {
    struct sl_wrapped_key_facts facts;
    const char *refusal; /* NULL: accepted */
};

static void assert_keys(const char *members, const struct key_case *cases, size_t n)
{
    SL_AUTO_FREE char *json = sl_strf("{\"default\":{\"encryption\":\"required\",%s}}", members);
    SL_AUTO(sl_encryption_policy) policy = parse(json);
    const struct sl_encryption_rule *rule = sl_encryption_policy_find(policy, "a.org/x:1");
    for (size_t i = 0; i < n; i++) {
        struct sl_error err = {0};
        if (!cases[i].refusal)
            assert_done(sl_encryption_rule_check_key(rule, &cases[i].facts, &err));
        else
            assert_error(sl_encryption_rule_check_key(rule, &cases[i].facts, &err), EACCES,
                         SL_E_POLICY, cases[i].refusal);
    }
}

#define KID(text, why)                                                                             \
    {                                                                                              \
        {.protocol = "provider", .kid = (text)}, (why)                                             \
    }
#define NOT_LISTED "the wrapped key has kid "
#define MALFORMED "the wrapped key has a malformed kid "

static void check_key_compares_kids_by_whole_segments(void **state)
{
    (void)state;
    static const struct key_case cases[] = {
        KID("kbs:///default/key/1", NULL),
        KID("kbs+resource:///default/key/1", NULL),
        KID("/default/key/1", NULL),
        KID("kbs:///default/key/1?a=b", NULL),
        KID("kbs:///other/key/whole", NULL),
        KID("kbs://h:1/hosted/key/1", NULL),
        KID("h:1/hosted/key/1", NULL),
        KID("kbs:///default/keys/1", NOT_LISTED "kbs:///default/keys/1;"),
        KID("kbs:///default/key", NOT_LISTED),
        KID("kbs:///other/key/whole2", NOT_LISTED),
        KID("kbs:///other/key/whole/more", NOT_LISTED),
        KID("kbs:///other/key/whole?a=b", NOT_LISTED),
        KID("kbs://evil/default/key/1", NOT_LISTED),
        KID("evil/default/key/1", NOT_LISTED "kbs://evil/default/key/1;"),
        KID("kbs:///hosted/key/1", NOT_LISTED),
        KID("kbs://h:12/hosted/key/1", NOT_LISTED),
        KID("kbs+pkcs11:///default/key/1", NOT_LISTED),
        KID("kbs:///default/key/../../secret/key/1", MALFORMED),
        KID("kbs:///default/key/", MALFORMED),
        KID("kbs:///kbs:///default/key/1", MALFORMED),
        KID("KBS:///default/key/1", MALFORMED),
        KID("key_id1", MALFORMED),
        KID("", "the wrapped key does not name its kid"),
        KID(NULL, "the wrapped key does not name its kid"),
        {{.protocol = "jwe"}, NULL},
        {{.protocol = "jwe", .kid = "elsewhere"}, NULL},
        {{.protocol = NULL}, "does not name its kid"},
    };
    assert_keys("\"kids\":[\"kbs+resource:///default/key/\",\"kbs:///other/key/whole\","
                "\"kbs://h:1/hosted/\"]",
                cases, sizeof(cases) / sizeof(cases[0]));
}

static void check_key_root_prefix_takes_every_kid_without_host(void **state)
{
    (void)state;
    static const struct key_case cases[] = {KID("kbs:///a/b/c", NULL), KID("/a/b/c", NULL),
                                            KID("kbs://h/a/b/c", NOT_LISTED)};
    assert_keys("\"kids\":[\"kbs:///\"]", cases, sizeof(cases) / sizeof(cases[0]));
}

static void check_key_other_lists_are_exact(void **state)
{
    (void)state;
#define FACTS(proto, name, type, why)                                                              \
    {                                                                                              \
        {.protocol = (proto), .provider = (name), .wrap_type = (type)}, (why)                      \
    }
    static const struct key_case cases[] = {
        FACTS("provider", "attestation-agent", "A256GCM", NULL),
        FACTS("provider", "attestation-agen", "A256GCM", "has provider attestation-agen;"),
        FACTS("provider", NULL, "A256GCM", "does not name its provider"),
        FACTS("provider", "attestation-agent", "A256CTR", "has wrap type A256CTR;"),
        FACTS("provider", "attestation-agent", "a256gcm", "has wrap type a256gcm;"),
        FACTS("provider", "attestation-agent", "", "does not name its wrap type"),
        FACTS("pkcs7", "attestation-agent", "A256GCM", "has protocol pkcs7;"),
        FACTS(NULL, "attestation-agent", "A256GCM", "does not name its protocol"),
    };
    assert_keys("\"protocols\":[\"jwe\",\"provider\"],\"providers\":[\"attestation-agent\"],"
                "\"wrap_types\":[\"A256GCM\"]",
                cases, sizeof(cases) / sizeof(cases[0]));
}

static void check_key_without_lists_takes_anything(void **state)
{
    (void)state;
    static const struct sl_wrapped_key_facts facts[] = {{NULL},
                                                        {"provider", "x", "whatever", "A256CTR"}};
    SL_AUTO(sl_encryption_policy) policy = parse("{\"default\":{\"encryption\":\"required\"}}");
    struct sl_error err = {0};
    for (size_t i = 0; i < 2; i++)
        assert_done(sl_encryption_rule_check_key(sl_encryption_policy_find(policy, "a/b:1"),
                                                 &facts[i], &err));
}

/* ---- parsing ---- */

#define DEFAULT(members) "{\"default\":{\"encryption\":\"optional\"" members "}}"
#define SCOPE(scope)                                                                               \
    "{\"default\":{\"encryption\":\"optional\"},\"scopes\":{\"" scope                              \
    "\":{\"encryption\":\"optional\"}}}"

static void parse_wrong_policy_says_what_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "not valid JSON"},
        {"[]", "must be an object"},
        {"{}", "member 'default' is missing"},
        {"{\"scopes\":{}}", "member 'default' is missing"},
        {"{\"default\":[]}", "'default': must be an object"},
        {"{\"default\":{}}", "'default': member 'encryption' is missing"},
        {"{\"default\":{\"encryption\":\"Required\"}}", "'default': 'encryption' must be"},
        {"{\"default\":{\"encryption\":null}}", "'encryption' must be"},
        {"{\"default\":{\"encryption\":true}}", "'encryption' must be"},
        {DEFAULT(",\"encryption\":\"optional\""), "appears twice"},
        {DEFAULT(",\"kid\":[]"), "'default': unknown member kid"},
        {DEFAULT(",\"kids\":\"kbs:///\""), "'kids': must be a list"},
        {DEFAULT(",\"kids\":[]"), "'kids': must be a list with at least one entry"},
        {DEFAULT(",\"kids\":null"), "'kids': must be a list"},
        {DEFAULT(",\"kids\":[1]"), "'kids': entry 1: must be a string"},
        {DEFAULT(",\"kids\":[\"kbs:///a/\",\"default/key/\"]"), "'kids': entry 2: "},
        {DEFAULT(",\"kids\":[\"\"]"), "'kids': entry 1: "},
        {DEFAULT(",\"kids\":[\"/\"]"), "'kids': entry 1: "},
        {DEFAULT(",\"kids\":[\"kbs:///a//\"]"), "'kids': entry 1: "},
        {DEFAULT(",\"kids\":[\"kbs:///a/../\"]"), "'kids': entry 1: "},
        {DEFAULT(",\"kids\":[\"kbs:///a/*\"]"), "'kids': entry 1: "},
        {DEFAULT(",\"kids\":[\"kbs:///a/b?c=/\"]"), "cannot have a query"},
        {DEFAULT(",\"protocols\":[\"jwt\"]"),
         "'protocols': entry 1: there is no such thing as jwt"},
        {DEFAULT(",\"wrap_types\":[\"AES\"]"), "'wrap_types': entry 1: there is no such thing"},
        {DEFAULT(",\"providers\":[\"\"]"), "'providers': entry 1: an entry is empty"},
        {"{\"default\":{\"encryption\":\"optional\"},\"scope\":{}}", "unknown member scope"},
        {"{\"default\":{\"encryption\":\"optional\"},\"scopes\":[]}", "'scopes' must be an object"},
        {SCOPE(""), "scope '': is empty"},
        {SCOPE("*"), "scope '*': a '*' stands only in front"},
        {SCOPE("*."), "stands only in front"},
        {SCOPE("a.*.org"), "stands only in front"},
        {SCOPE("*.a org"), "blanks nowhere"},
        {SCOPE("*.org/x"), "without port and path"},
        {SCOPE("*.org:1"), "without port and path"},
        {SCOPE("a.org/"), "neither begins nor ends with '/'"},
        {SCOPE("/a.org"), "neither begins nor ends with '/'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_encryption_policy) policy = NULL;
        struct sl_error err = {0};
        struct sl_span json = sl_span_of(cases[i].json);
        int r = sl_encryption_policy_parse(json, &policy, &err);
        if (r >= 0 || policy || err.code != SL_E_FORMAT || !strstr(err.msg, cases[i].message) ||
            strncmp(err.msg, "encryption policy: ", 19) != 0)
            fail_msg("%s: %d, %s: %s", cases[i].json, r, sl_errc_name(err.code), err.msg);
    }
}

static void parse_wrong_policy_says_line_and_column(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\n\"scopes\":{}}", "line 1, column 1: member 'default' is missing"},
        {"{\"default\":{\"encryption\":\"optional\"},\n \"x\":1}", "line 2, column 2: unknown"},
        {"{\"default\":{\n \"encryption\":\"optional\",\n  \"kids\":[\"kbs:///a/\",\n   1]}}",
         "line 4, column 4: 'default': 'kids': entry 2"},
        {"{\"default\":{\"encryption\":\"optional\"},\n\"scopes\":\n{\"a\":{\"encryption\":1}}}",
         "line 3, column 7: scope 'a': 'encryption' must"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_encryption_policy) policy = NULL;
        struct sl_error err = {0};
        assert_error(sl_encryption_policy_parse(sl_span_of(cases[i][0]), &policy, &err), EBADMSG,
                     SL_E_FORMAT, cases[i][1]);
    }
}

static void parse_too_many_scopes_is_a_limit(void **state)
{
    (void)state;
    struct sl_bytes json = {0};
    struct sl_error err = {0};
    SL_AUTO(sl_encryption_policy) policy = NULL;
    const char *head = "{\"default\":{\"encryption\":\"optional\"},\"scopes\":{";
    assert_done(sl_bytes_append(&json, sl_span_of(head), 1 << 20, &err));
    for (int i = 0; i <= 1024; i++) {
        SL_AUTO_FREE char *scope =
            sl_strf("%s\"h%d\":{\"encryption\":\"optional\"}", i ? "," : "", i);
        assert_done(sl_bytes_append(&json, sl_span_of(scope), 1 << 20, &err));
    }
    assert_done(sl_bytes_append(&json, sl_span_of("}}"), 1 << 20, &err));
    assert_error(sl_encryption_policy_parse(sl_bytes_span(&json), &policy, &err), E2BIG, SL_E_LIMIT,
                 "more than 1024 scopes");
    sl_bytes_done(&json);
}

static void open_missing_file_is_an_error(void **state)
{
    (void)state;
    SL_AUTO(sl_encryption_policy) policy = NULL;
    struct sl_error err = {0};
    assert_error(sl_encryption_policy_open("/nonexistent/policy.json", &policy, &err), ENOENT,
                 SL_E_SYSTEM, "encryption policy: /nonexistent/policy.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_docker_name_takes_the_most_specific_scope),
        cmocka_unit_test(find_host_with_port_fits_as_written),
        cmocka_unit_test(find_layout_goes_up_its_directories),
        cmocka_unit_test(check_layer_follows_the_demand),
        cmocka_unit_test(check_key_compares_kids_by_whole_segments),
        cmocka_unit_test(check_key_root_prefix_takes_every_kid_without_host),
        cmocka_unit_test(check_key_other_lists_are_exact),
        cmocka_unit_test(check_key_without_lists_takes_anything),
        cmocka_unit_test(parse_wrong_policy_says_what_and_where),
        cmocka_unit_test(parse_wrong_policy_says_line_and_column),
        cmocka_unit_test(parse_too_many_scopes_is_a_limit),
        cmocka_unit_test(open_missing_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
