/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is accepted and refused follows containers-policy.json(5) and policy_config_test.go of
 * containers/image; which scope an image selects, policy_eval_test.go. sl_log() is replaced here,
 * sl_sigstore_trust_open() always says yes.
 */
#include "policy_document.h"
#include "sigstore_trust.h"
#include "sluice/core/log.h"

#include "assert_result.h"

#include <unistd.h>

#define DIGEST "sha256:dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"

static char logged[16384];

void __wrap_sl_log(enum sl_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void __wrap_sl_log(enum sl_log_level level, const char *fmt, ...)
{
    size_t len = strlen(logged);
    va_list ap;
    assert_int_equal(level, SL_LOG_WARN);
    va_start(ap, fmt);
    (void)vsnprintf(logged + len, sizeof(logged) - len, fmt, ap);
    va_end(ap);
    strncat(logged, "\n", sizeof(logged) - strlen(logged) - 1);
}

int __wrap_sl_sigstore_trust_open(const struct sl_requirement *requirement,
                                  struct sl_sigstore_trust **ret, enum sl_signature_code *ret_code,
                                  struct sl_error *err);
int __wrap_sl_sigstore_trust_open(const struct sl_requirement *requirement,
                                  struct sl_sigstore_trust **ret, enum sl_signature_code *ret_code,
                                  struct sl_error *err)
{
    const struct sl_key_sources *keys = &requirement->keys;
    if (keys->n && keys->items[0].bytes.len == 3 &&
        memcmp(keys->items[0].bytes.data, "bad", 3) == 0) {
        *ret_code = SL_SIG_KEY_PARSE;
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "keyData: no PEM");
    }
    *ret = calloc(1, sizeof(**ret));
    return 0;
}

struct sl_sigstore_trust *__wrap_sl_sigstore_trust_free(struct sl_sigstore_trust *trust);
struct sl_sigstore_trust *__wrap_sl_sigstore_trust_free(struct sl_sigstore_trust *trust)
{
    free(trust);
    return NULL;
}

static int parse(const char *json, const struct sl_signature_policy_options *options,
                 struct sl_signature_policy **ret, struct sl_error *err)
{
    struct sl_resources resources = {0};
    logged[0] = '\0';
    return sl_signature_policy_parse(sl_span_of(json), options, &resources, ret, err);
}

static struct sl_signature_policy *accept_with(const char *json,
                                               const struct sl_signature_policy_options *options)
{
    struct sl_signature_policy *policy = NULL;
    struct sl_error err = {0};
    if (parse(json, options, &policy, &err) != 0)
        fail_msg("%s: %s", json, err.msg);
    return policy;
}

static struct sl_signature_policy *accept(const char *json)
{
    return accept_with(json, /* options= */ NULL);
}

static void assert_refused(const char *json, bool is_compat, const char *message)
{
    const struct sl_signature_policy_options options = {.compat_image_rs = is_compat};
    SL_AUTO(sl_signature_policy) policy = NULL;
    struct sl_error err = {0};
    int r = parse(json, &options, &policy, &err);
    if (r >= 0 || policy || err.code != SL_E_FORMAT || !strstr(err.msg, message) ||
        strncmp(err.msg, "signature policy: line ", 23) != 0)
        fail_msg("%s: %d, %s: %s", json, r, sl_errc_name(err.code), err.msg);
}

#define ALL "{\"type\":\"insecureAcceptAnything\"}"
#define NO "{\"type\":\"reject\"}"
#define ONE(requirement) "{\"default\":[" requirement "]}"
#define DOCKER(scopes) "{\"default\":[" NO "],\"transports\":{\"docker\":{" scopes "}}}"
#define PGP(members) ONE("{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\"" members "}")
#define PGP_ID(identity) PGP(",\"keyData\":\"YQ==\",\"signedIdentity\":" identity)
#define COSIGN(members) ONE("{\"type\":\"sigstoreSigned\"" members "}")
#define KEY ",\"keyData\":\"YQ==\""
#define REKOR ",\"rekorPublicKeyData\":\"YQ==\""
#define ROOT ",\"x-trustedRootData\":\"YQ==\""
#define FULCIO(members) ",\"fulcio\":{\"oidcIssuer\":\"https://i\"" members "}"
#define CA ",\"caData\":\"YQ==\""
#define MAIL ",\"subjectEmail\":\"a@b\""
#define PKI(members) ",\"pki\":{\"caRootsData\":\"YQ==\"" members "}"

/* ---- refused ---- */

struct refusal {
    const char *json, *message;
};

static void assert_all_refused(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_refused(cases[i].json, /* is_compat= */ false, cases[i].message);
}

static void document_of_wrong_shape_is_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", "not valid JSON"},
        {"{\"default\":[" NO "]", "not valid JSON"},
        {"null", "must be an object"},
        {"[]", "must be an object"},
        {"{}", "member \"default\" is missing"},
        {"{\"transports\":{}}", "member \"default\" is missing"},
        {"{\"Default\":[" NO "]}", "member \"default\" is missing"},
        {"{\"default\":[" NO "],\"Transports\":{}}", "unknown member \"Transports\""},
        {"{\"default\":[" NO "],\"x\":1}", "line 1, column 32: unknown member \"x\""},
        {"{\"default\":[" NO "],\"default\":[" NO "]}", "'default' appears twice"},
        {"{\"default\":[]}", "\"default\": must be a list with at least one"},
        {"{\"default\":null}", "\"default\": must be a list"},
        {"{\"default\":{}}", "\"default\": must be a list"},
        {"{\"default\":\"reject\"}", "\"default\": must be a list"},
        {"{\"default\":[" NO "]} x", "trailing garbage"},
        {"{\"default\":[" NO "]}{}", "trailing garbage"},
        {"{\"default\":[" NO "],\"transports\":null}", "\"transports\": must be an object"},
        {"{\"default\":[" NO "],\"transports\":[]}", "\"transports\": must be an object"},
        {"{\"default\":[" NO "],\"transports\":{\"docker\":null}}",
         "\"docker\": must be an object"},
        {"{\"default\":[" NO "],\"transports\":{\"docker\":{},\"docker\":{}}}", "appears twice"},
        {"{\"default\":[" NO "],\"transports\":{\"new\":1}}", "\"new\": must be an object"},
        {"{\"default\":[" NO "],\"transports\":{\"new\":{\"a\":[]}}}", "at least one requirement"},
        {DOCKER("\"a.org\":[" NO "],\"a.org\":[" ALL "]"), "'a.org' appears twice"},
        {DOCKER("\"a.org/x\":[" NO "],\"A.org/x\":[" ALL "]"),
         "there is \"a.org/x\" already, and hosts have no case"},
        {DOCKER("\"\":[]"), "scope \"\": must be a list with at least one"},
        {DOCKER("\"a.org\":[" ALL ",{\"type\":\"x\"}]"),
         "\"docker\": scope \"a.org\": requirement 2: unknown type \"x\""},
        {DOCKER("\"a.org\\u0000\":[" NO "]"), "NUL"},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void requirement_of_wrong_shape_is_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {ONE("null"), "requirement 1: must be an object"},
        {ONE("\"reject\""), "must be an object"},
        {ONE("[]"), "must be an object"},
        {ONE("{}"), "member \"type\" is missing"},
        {ONE("{\"type\":1}"), "\"type\": must be a string"},
        {ONE("{\"type\":null}"), "\"type\": must be a string"},
        {ONE("{\"type\":\"Reject\"}"), "unknown type \"Reject\""},
        {ONE("{\"type\":\"\"}"), "unknown type \"\""},
        {ONE("{\"type\":\"reject\",\"x\":1}"), "reject: unknown member \"x\""},
        {ONE("{\"type\":\"reject\",\"keyPath\":\"a\"}"), "unknown member \"keyPath\""},
        {ONE("{\"type\":\"reject\",\"type\":\"reject\"}"), "'type' appears twice"},
        {ONE("{\"type\":\"insecureAcceptAnything\",\"Type\":\"reject\"}"),
         "unknown member \"Type\""},
        {ONE("{\"type\":\"signedBaseLayer\"}"), "\"baseLayerIdentity\" is missing"},
        {ONE("{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":null}"), "must be an object"},
        {ONE("{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"x\"}}"),
         "unknown type"},
        {ONE("{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"},\"x\":"
             "1}"),
         "unknown member \"x\""},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void signed_by_of_wrong_shape_is_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {PGP(""), "signedBy: exactly one of \"keyPath\""},
        {PGP(",\"keyPath\":\"\""), "exactly one of \"keyPath\""},
        {PGP(",\"keyPath\":null"), "\"keyPath\": must be a string"},
        {PGP(",\"keyPath\":[\"a\"]"), "\"keyPath\": must be a string"},
        {PGP(",\"keyPath\":\"a\",\"keyData\":\"YQ==\""), "only one of them"},
        {PGP(",\"keyPaths\":[\"a\"],\"keyPath\":\"a\""), "only one of them"},
        {PGP(",\"keyPaths\":[\"a\"],\"keyData\":\"\""), "only one of them"},
        {PGP(",\"keyPaths\":[]"), "\"keyPaths\": must be a list with at least one"},
        {PGP(",\"keyPaths\":\"a\""), "\"keyPaths\": must be a list"},
        {PGP(",\"keyPaths\":[1]"), "\"keyPaths\": entry 1: must be a string"},
        {PGP(",\"keyPaths\":[\"a\",null]"), "entry 2: must be a string"},
        {PGP(",\"keyDatas\":[\"YQ==\"]"), "unknown member \"keyDatas\""},
        {PGP(",\"keyData\":\"YQ\""), "\"keyData\": "},
        {PGP(",\"keyData\":\"YQ=\""), "\"keyData\": "},
        {PGP(",\"keyData\":\"YQ==\\n\""), "\"keyData\": "},
        {PGP(",\"keyData\":\"_-==\""), "\"keyData\": "},
        {PGP(",\"keyData\":\"YR==\""), "\"keyData\": "},
        {PGP(",\"keyData\":1"), "\"keyData\": must be a string"},
        {PGP(",\"keyData\":\"-----BEGIN PUBLIC KEY-----\""), "\"keyData\": "},
        {PGP(",\"keyData\":\"YQ==\",\"scheme\":\"simple\""), "unknown member \"scheme\""},
        {PGP(",\"keyData\":\"YQ==\",\"x-allowExpiredKey\":1"), "must be true or false"},
        {PGP(",\"keyData\":\"YQ==\",\"allowExpiredKey\":true"), "unknown member"},
        {PGP(",\"keyData\":\"YQ==\",\"x-bundles\":\"digest-only\""), "unknown member"},
        {ONE("{\"type\":\"signedBy\",\"keyPath\":\"a\"}"), "member \"keyType\" is missing"},
        {ONE("{\"type\":\"signedBy\",\"keyType\":\"gpgKeys\",\"keyPath\":\"a\"}"),
         "must be GPGKeys"},
        {ONE("{\"type\":\"signedBy\",\"keyType\":null,\"keyPath\":\"a\"}"), "must be GPGKeys"},
        {ONE("{\"type\":\"signedBy\",\"keyType\":\"\",\"keyPath\":\"a\"}"), "must be GPGKeys"},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void identity_of_wrong_shape_is_refused(void **state)
{
    (void)state;
#define ID(type, members) PGP_ID("{\"type\":\"" type "\"" members "}")
    static const struct refusal cases[] = {
        {PGP_ID("null"), "\"signedIdentity\": must be an object"},
        {PGP_ID("\"matchExact\""), "must be an object"},
        {PGP_ID("{}"), "member \"type\" is missing"},
        {ID("matchexact", ""), "unknown type \"matchexact\""},
        {ID("matchExact", ",\"x\":1"), "unknown member \"x\""},
        {ID("matchRepository", ",\"dockerRepository\":\"a\""), "unknown member"},
        {ID("exactReference", ""), "\"dockerReference\" is missing"},
        {ID("exactReference", ",\"dockerReference\":null"), "must be a string"},
        {ID("exactReference", ",\"dockerReference\":\"\""), "\"dockerReference\": "},
        {ID("exactReference", ",\"dockerReference\":\"UPPER/x:1\""), "lower case"},
        {ID("exactReference", ",\"dockerReference\":\"busybox\""), "must have a tag or a digest"},
        {ID("exactReference", ",\"dockerReference\":\"a:1\",\"x\":1"), "unknown member \"x\""},
        {ID("exactReference", ",\"dockerRepository\":\"a:1\""), "\"dockerReference\" is missing"},
        {ID("exactRepository", ""), "\"dockerRepository\" is missing"},
        {ID("exactRepository", ",\"dockerRepository\":\"UPPER\""), "lower case"},
        {ID("exactRepository", ",\"dockerRepository\":[]"), "must be a string"},
        {ID("remapIdentity", ""), "\"prefix\" is missing"},
        {ID("remapIdentity", ",\"prefix\":\"a.org\""), "\"signedPrefix\" is missing"},
        {ID("remapIdentity", ",\"prefix\":\"a.org/\",\"signedPrefix\":\"b.org\""),
         "\"prefix\": must"},
        {ID("remapIdentity", ",\"prefix\":\"a.org\",\"signedPrefix\":\"b.org:tag\""),
         "\"signedPrefix\": must"},
        {ID("remapIdentity", ",\"prefix\":\"\",\"signedPrefix\":\"b.org\""), "\"prefix\": must"},
        {ID("remapIdentity", ",\"prefix\":\"a\",\"signedPrefix\":\"b\",\"x\":1"), "unknown member"},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void sigstore_signed_of_wrong_shape_is_refused(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {COSIGN(""), "sigstoreSigned: exactly one of \"keyPath\""},
        {COSIGN(",\"keyPath\":\"\""), "exactly one of \"keyPath\""},
        {COSIGN(",\"keyType\":\"GPGKeys\"" KEY), "unknown member \"keyType\""},
        {COSIGN(KEY ",\"keyPath\":\"a\""), "only one of them"},
        {COSIGN(KEY ",\"keyDatas\":[\"YQ==\"]"), "only one of them"},
        {COSIGN(KEY ",\"rekorPublicKeyPath\":\"\""),
         "\"rekorPublicKeyPath\": must be a string with"},
        {COSIGN(KEY ",\"x-trustedRootPath\":\"\""), "\"x-trustedRootPath\": must be a string"},
        {COSIGN(",\"keyDatas\":[]"), "must be a list with at least one"},
        {COSIGN(",\"keyPaths\":[]"), "must be a list with at least one"},
        {COSIGN(",\"keyDatas\":[\"YQ==\",\"?\"]"), "\"keyDatas\": entry 2"},
        {COSIGN(",\"keyData\":\"-----BEGIN PUBLIC KEY-----\""), "\"keyData\": "},
        {COSIGN(",\"keyData\":null"), "must be a string"},
        {COSIGN(KEY ",\"signedIdentity\":null"), "must be an object"},
        {COSIGN(KEY ",\"scheme\":\"cosign\""), "unknown member"},
        {COSIGN(KEY REKOR ",\"rekorPublicKeyPath\":\"a\""), "only one of them"},
        {COSIGN(KEY ",\"rekorPublicKeyPaths\":[]"), "must be a list with at least one"},
        {COSIGN(KEY ",\"rekorPublicKeyDatas\":[]"), "must be a list with at least one"},
        {COSIGN(KEY ",\"rekorPublicKeyData\":\"?\""), "\"rekorPublicKeyData\""},
        {COSIGN(KEY REKOR ROOT), "only one of them may stand"},
        {COSIGN(KEY ",\"x-trustedRootPath\":\"a\"" ROOT), "only one of them"},
        {COSIGN(KEY ",\"x-bundles\":true"), "must be \"digest-only\""},
        {COSIGN(KEY ",\"x-bundles\":\"all\""), "must be \"digest-only\""},
        {COSIGN(KEY ",\"x-sct\":\"ignore\""), "beside \"fulcio\" only"},
        {COSIGN(KEY ",\"x-ctKeyData\":\"YQ==\""), "beside \"fulcio\" only"},
        /* fulcio */
        {COSIGN(KEY FULCIO(CA MAIL) REKOR), "exactly one of \"keyPath\""},
        {COSIGN(FULCIO(CA MAIL)), "\"fulcio\" needs a Rekor key"},
        {COSIGN(FULCIO(MAIL) REKOR), "one of \"caPath\" and \"caData\" is missing"},
        {COSIGN(FULCIO(",\"caPath\":\"\"" MAIL) REKOR), "\"caPath\" and \"caData\" is missing"},
        {COSIGN(FULCIO(",\"caPath\":\"a\",\"caData\":\"\"" MAIL) REKOR), "only one of them"},
        {COSIGN(FULCIO(CA) REKOR), "exactly one of \"subjectEmail\""},
        {COSIGN(FULCIO(CA MAIL ",\"x-subjectURI\":\"u\"") REKOR),
         "exactly one of \"subjectEmail\""},
        {COSIGN(FULCIO(CA ",\"subjectEmail\":\"\"") REKOR),
         "\"subjectEmail\": must be a string with"},
        {COSIGN(FULCIO(CA ",\"x-subjectURI\":\"\"") REKOR), "must be a string with"},
        {COSIGN(FULCIO(CA ",\"subjectURI\":\"u\"") REKOR), "unknown member \"subjectURI\""},
        {COSIGN(",\"fulcio\":{\"caData\":\"YQ==\"" MAIL "}" REKOR), "\"oidcIssuer\" is missing"},
        {COSIGN(",\"fulcio\":{\"caData\":\"YQ==\",\"oidcIssuer\":\"\"" MAIL "}" REKOR),
         "\"oidcIssuer\": must be a string with"},
        {COSIGN(",\"fulcio\":null" REKOR), "\"fulcio\": must be an object"},
        {COSIGN(",\"fulcio\":[]" REKOR), "\"fulcio\": must be an object"},
        {COSIGN(FULCIO(CA MAIL) REKOR ",\"x-ctKeyPath\":\"\""), "\"x-ctKeyPath\": must be a"},
        {COSIGN(FULCIO(CA MAIL) REKOR ",\"x-sct\":\"optional\""), "must be \"ignore\" or"},
        {COSIGN(FULCIO(CA MAIL) REKOR ",\"x-ctKeyPath\":\"a\",\"x-ctKeyPaths\":[\"a\"]"),
         "only one of them"},
        /* pki */
        {COSIGN(PKI(MAIL) REKOR), "\"pki\" has no transparency log"},
        {COSIGN(PKI(MAIL) ROOT), "\"pki\" has no transparency log"},
        {COSIGN(PKI("")), "one of \"subjectEmail\" and \"subjectHostname\""},
        {COSIGN(PKI(",\"subjectEmail\":\"\"")), "\"subjectEmail\": must be a string with"},
        {COSIGN(PKI(MAIL ",\"subjectHostname\":\"\"")), "\"subjectHostname\": must be a"},
        {COSIGN(PKI(MAIL ",\"caIntermediatesPath\":\"\"")), "\"caIntermediatesPath\": must be a"},
        {COSIGN(PKI(",\"subjectEmail\":null")), "must be a string"},
        {COSIGN(PKI(MAIL ",\"caRootsPath\":\"a\"")), "only one of them"},
        {COSIGN(PKI(MAIL ",\"caIntermediatesPath\":\"a\",\"caIntermediatesData\":\"YQ==\"")),
         "only one of them"},
        {COSIGN(",\"pki\":{\"subjectEmail\":\"a@b\"}"),
         "\"caRootsPath\" and \"caRootsData\" is missing"},
        {COSIGN(PKI(MAIL ",\"x\":1")), "unknown member \"x\""},
        {COSIGN(PKI(MAIL) KEY), "exactly one of \"keyPath\""},
        {COSIGN(PKI(MAIL) FULCIO(CA MAIL)), "exactly one of \"keyPath\""},
        {COSIGN(PKI(MAIL) ",\"x-sct\":\"required\""), "beside \"fulcio\" only"},
    };
    assert_all_refused(cases, sizeof(cases) / sizeof(cases[0]));
}

static void scope_is_checked_as_its_transport_does(void **state)
{
    (void)state;
    static const struct {
        const char *transport, *scope;
        bool is_accepted;
    } cases[] = {
        {"docker", "", true},
        {"docker", "busybox", true},
        {"docker", "A b//*", true},
        {"dir", "", true},
        {"dir", "/a/b", true},
        {"dir", "relative/path", false},
        {"dir", "/", false},
        {"dir", "/a/", false},
        {"oci", "/a//b", false},
        {"oci", "/a/../b", false},
        {"oci", "/a/.", false},
        {"oci", "/srv", true},
        {"oci-archive", "x", false},
        {"sif", "x", false},
        {"docker-archive", "", true},
        {"docker-archive", "/a", false},
        {"tarball", "/a", false},
        {"tarball", "", true},
        {"unheard-of", "//", true},
        {"atomic", "host/a", true},
        {"docker-daemon", "a:b", true},
        {"containers-storage", "[a]b", true},
        {"ostree", "a", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json =
            sl_strf("{\"default\":[" NO "],\"transports\":{\"%s\":{\"%s\":[" NO "]}}}",
                    cases[i].transport, cases[i].scope);
        if (cases[i].is_accepted)
            (void)sl_signature_policy_free(accept(json));
        else
            assert_refused(json, false, "scope");
    }
}

static void errors_say_line_and_column(void **state)
{
    (void)state;
    assert_refused(
        "{\n  \"default\": [\n    { \"type\": \"reject\" },\n    { \"type\": \"signedBy\",\n"
        "      \"keyType\": \"GPGKeys\", \"keyPath\": \"a\",\n      \"keypath\": \"b\" }\n ] }",
        false,
        "signature policy: line 6, column 7: \"default\": requirement 2: signedBy: "
        "unknown member \"keypath\"");
    assert_refused(
        "{\n  \"default\": [\n    { \"type\": \"reject\" },\n    { \"type\": \"signedBy\",\n"
        "      \"keyType\": \"GPGKeys\", \"keyPaths\": [ \"a\",\n  7 ] } ] }",
        false,
        "signature policy: line 6, column 3: \"default\": requirement 2: signedBy: "
        "\"keyPaths\": entry 2: must be a string");
    assert_refused("{\n  \"default\":\n [ { \"type\": \"reject\" }\n } ]", false,
                   "signature policy: line 4, column 2: not valid JSON");
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO(sl_signature_policy) policy = NULL;
    size_t size = SL_SIGNATURE_POLICY_MAX + 1;
    SL_AUTO_FREE char *big = malloc(size + 1);
    assert_non_null(big);
    memset(big, ' ', size);
    memcpy(big, ONE(NO), strlen(ONE(NO)));
    big[size] = '\0';
    assert_error(parse(big, NULL, &policy, &err), E2BIG, SL_E_LIMIT, "larger than 1048576 bytes");
    big[size - 1] = '\0';
    assert_done(parse(big, NULL, &policy, &err));
    policy = sl_signature_policy_free(policy);
    SL_AUTO_FREE char *deep =
        sl_strf("{\"default\":%.16s%.16s}", "[[[[[[[[[[[[[[[[", "]]]]]]]]]]]]]]]]");
    assert_error(parse(deep, NULL, &policy, &err), E2BIG, SL_E_LIMIT, "nested too deeply");
}

/* ---- accepted ---- */

static void worked_example_is_understood(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy) policy = accept(DOCKER(
        "\"quay.example.org/team\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\","
        "\"keyData\":\"YWJj\",\"x-allowExpiredKey\":true}],"
        "\"mirror.local:5000/net\":[{\"type\":\"signedBy\",\"keyType\":\"signedByGPGKeys\","
        "\"keyData\":\"\",\"signedIdentity\":{\"type\":\"remapIdentity\","
        "\"prefix\":\"mirror.local:5000/net\",\"signedPrefix\":\"registry.example.net\"}}]"));
    assert_int_equal(policy->n_scopes, 2);
    assert_int_equal(policy->fallback.n, 1);
    assert_int_equal(policy->fallback.items[0].type, SL_REQUIRE_REJECT);
    const struct sl_requirement *team = &policy->scopes[0].requirements.items[0];
    assert_int_equal(team->type, SL_REQUIRE_SIGNED_BY);
    assert_int_equal(team->key_type, SL_GPG_KEYS);
    assert_true(team->allow_expired_key);
    assert_int_equal(team->identity.type, SL_MATCH_REPO_DIGEST_OR_EXACT);
    assert_int_equal(team->keys.n, 1);
    assert_null(team->keys.items[0].name);
    assert_string_equal((const char *)team->keys.items[0].bytes.data, "abc");
    const struct sl_requirement *net = &policy->scopes[1].requirements.items[0];
    assert_int_equal(net->key_type, SL_PGP_KEY_TYPE_UNSUPPORTED);
    assert_int_equal(net->keys.n, 1);
    assert_int_equal(net->keys.items[0].bytes.len, 0);
    assert_int_equal(net->identity.type, SL_REMAP_IDENTITY);
    assert_string_equal(net->identity.prefix, "mirror.local:5000/net");
    assert_string_equal(net->identity.signed_prefix, "registry.example.net");
    assert_string_equal(logged, "");
}

static void every_legal_form_is_accepted(void **state)
{
    (void)state;
    static const char *const cases[] = {
        ONE(NO),
        ONE(NO) " \r\n\t",
        ONE(ALL "," NO),
        "{\"default\":[" NO "],\"transports\":{}}",
        "{\"default\":[" NO "],\"transports\":{\"docker\":{},\"x\":{}}}",
        ONE("{\"type\":\"signedBaseLayer\",\"baseLayerIdentity\":{\"type\":\"matchExact\"}}"),
        PGP(",\"keyPath\":\"\"" KEY),
        PGP(",\"keyPaths\":[\"/nonexistent/a\",\"\"]"),
        ONE("{\"keyData\":\"YQ==\",\"keyType\":\"X509Certificates\",\"type\":\"signedBy\"}"),
        ONE("{\"keyData\":\"YQ==\",\"keyType\":\"signedByX509CAs\",\"type\":\"signedBy\"}"),
        PGP_ID("{\"type\":\"matchExact\"}"),
        PGP_ID("{\"type\":\"matchRepoDigestOrExact\"}"),
        PGP_ID("{\"type\":\"matchRepository\"}"),
        PGP_ID("{\"type\":\"exactReference\",\"dockerReference\":\"busybox:1\"}"),
        PGP_ID("{\"type\":\"exactReference\",\"dockerReference\":\"busybox@" DIGEST "\"}"),
        PGP_ID("{\"type\":\"exactRepository\",\"dockerRepository\":\"busybox:1\"}"),
        COSIGN(KEY),
        COSIGN(KEY REKOR),
        COSIGN(KEY ROOT),
        COSIGN(KEY ",\"x-bundles\":\"digest-only\""),
        COSIGN(",\"keyDatas\":[\"YQ==\",\"\"],\"rekorPublicKeyDatas\":[\"YQ==\"]"),
        COSIGN(",\"keyPaths\":[\"a\"],\"rekorPublicKeyPaths\":[\"a\"]"),
        COSIGN(",\"keyPath\":\"a\",\"rekorPublicKeyPath\":\"a\""),
        COSIGN(FULCIO(CA MAIL) REKOR),
        COSIGN(FULCIO(CA ",\"x-subjectURI\":\"https://u\"") REKOR ",\"x-sct\":\"required\""),
        COSIGN(FULCIO(MAIL) ROOT),
        COSIGN(FULCIO(CA MAIL) ROOT REKOR ",\"x-sct\":\"ignore\",\"x-ctKeyDatas\":[\"YQ==\"]"),
        COSIGN(FULCIO(",\"caPath\":\"a\"" MAIL) REKOR ",\"x-ctKeyPaths\":[\"a\"]"),
        COSIGN(PKI(MAIL)),
        COSIGN(PKI(",\"subjectHostname\":\"h\",\"caIntermediatesData\":\"YQ==\"")),
        COSIGN(",\"pki\":{\"caRootsPath\":\"a\",\"caIntermediatesPath\":\"b\"" MAIL "}"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        (void)sl_signature_policy_free(accept(cases[i]));
}

static void sigstore_members_reach_their_fields(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy) policy = accept(COSIGN(FULCIO(
        CA ",\"x-subjectURI\":\"https://u\"") ",\"rekorPublicKeyData\":\"Ug==\""
                                              ",\"x-trustedRootData\":\"VA==\",\"x-ctKeyData\":"
                                              "\"Qw==\",\"x-sct\":\"ignore\""
                                              ",\"x-bundles\":\"digest-only\",\"signedIdentity\":{"
                                              "\"type\":\"matchRepository\"}"));
    const struct sl_requirement *req = &policy->fallback.items[0];
    assert_true(req->has_fulcio && req->ignores_sct && req->accepts_bundles && !req->has_pki);
    assert_string_equal(req->oidc_issuer, "https://i");
    assert_string_equal(req->subject_uri, "https://u");
    assert_null(req->subject_email);
    assert_string_equal((const char *)req->fulcio_ca.items[0].bytes.data, "a");
    assert_string_equal((const char *)req->rekor_keys.items[0].bytes.data, "R");
    assert_string_equal((const char *)req->trusted_root.items[0].bytes.data, "T");
    assert_string_equal((const char *)req->ct_keys.items[0].bytes.data, "C");
    assert_int_equal(req->identity.type, SL_MATCH_REPOSITORY);
    assert_non_null(req->trust);
    SL_AUTO(sl_signature_policy) own =
        accept(COSIGN(",\"pki\":{\"caRootsData\":\"Ug==\",\"caIntermediatesData\":\"SQ==\","
                      "\"subjectEmail\":\"a@b\",\"subjectHostname\":\"h\"}"));
    req = &own->fallback.items[0];
    assert_true(req->has_pki && !req->has_fulcio && !req->accepts_bundles && !req->ignores_sct);
    assert_string_equal((const char *)req->pki_roots.items[0].bytes.data, "R");
    assert_string_equal((const char *)req->pki_intermediates.items[0].bytes.data, "I");
    assert_string_equal(req->pki_email, "a@b");
    assert_string_equal(req->pki_hostname, "h");
    assert_int_equal(req->identity.type, SL_MATCH_REPO_DIGEST_OR_EXACT);
}

static void digest_is_that_of_the_bytes(void **state)
{
    (void)state;
    /* printf '{"default":[{"type":"reject"}]}' | sha256sum */
    SL_AUTO(sl_signature_policy) policy = accept(ONE(NO));
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(sl_signature_policy_digest(policy), text);
    assert_string_equal(text,
                        "sha256:20e8f8b595fb933723507c58838ee13ff50869eb7ae4ecaaec9476c214321c16");
}

/* ---- the dialect of image-rs ---- */

#define PEM ",\"keyData\":\"-----BEGIN PUBLIC KEY-----\\nx\\n\""
#define SCHEME(scheme) ONE("{\"type\":\"signedBy\",\"scheme\":\"" scheme "\"" KEY "}")

static void image_rs_dialect_is_understood_when_asked(void **state)
{
    (void)state;
    const struct sl_signature_policy_options compat = {.compat_image_rs = true};
    SL_AUTO(sl_signature_policy) pem = accept_with(COSIGN(PEM), &compat);
    const struct sl_requirement *req = &pem->fallback.items[0];
    assert_string_equal((const char *)req->keys.items[0].bytes.data,
                        "-----BEGIN PUBLIC KEY-----\nx\n");
    assert_true(req->is_compat);
    assert_int_equal(req->identity.type, SL_MATCH_REPOSITORY);
    SL_AUTO(sl_signature_policy) exact = accept_with(
        COSIGN(KEY ",\"signedIdentity\":{\"type\":\"matchRepoDigestOrExact\"}"), &compat);
    assert_int_equal(exact->fallback.items[0].identity.type, SL_MATCH_REPO_DIGEST_OR_EXACT);
    SL_AUTO(sl_signature_policy) cosign = accept_with(SCHEME("cosign"), &compat);
    assert_int_equal(cosign->fallback.items[0].type, SL_REQUIRE_SIGSTORE_SIGNED);
    assert_int_equal(cosign->fallback.items[0].identity.type, SL_MATCH_REPOSITORY);
    SL_AUTO(sl_signature_policy) simple = accept_with(PGP(KEY ",\"scheme\":\"simple\""), &compat);
    assert_int_equal(simple->fallback.items[0].type, SL_REQUIRE_SIGNED_BY);
    assert_int_equal(simple->fallback.items[0].identity.type, SL_MATCH_REPO_DIGEST_OR_EXACT);
}

static void image_rs_dialect_is_strict_otherwise(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{}", "\"default\" is missing"},
        {"{\"default\":[]}", "at least one"},
        {ONE("{\"type\":\"reject\",\"x\":1}"), "unknown member"},
        {ONE("{\"type\":\"reject\",\"scheme\":\"simple\"}"), "unknown member"},
        {COSIGN(KEY ",\"scheme\":\"cosign\""), "unknown member"},
        {SCHEME("other"), "\"scheme\": must be simple or cosign"},
        {SCHEME("simple"), "\"keyType\" is missing"},
        {PGP(KEY ",\"scheme\":\"cosign\""), "unknown member \"keyType\""},
        {PGP(KEY ",\"scheme\":null"), "\"scheme\": must be simple or cosign"},
        {PGP(PEM), "\"keyData\": "},
        {COSIGN(",\"keyDatas\":[\"-----BEGIN PUBLIC KEY-----\"]"), "\"keyDatas\": "},
        {COSIGN(",\"keyData\":\" -----BEGIN PUBLIC KEY-----\""), "\"keyData\": "},
        {COSIGN(",\"keyData\":\"YQ\""), "\"keyData\": "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i].json, /* is_compat= */ true, cases[i].message);
    assert_refused(SCHEME("cosign"), /* is_compat= */ false, "\"keyType\" is missing");
}

/* ---- keys ---- */

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void keys_are_read_with_the_policy(void **state)
{
    (void)state;
    char dir[] = "/tmp/sluice-policy-XXXXXX";
    assert_non_null(mkdtemp(dir));
    SL_AUTO_FREE char *path = sl_strf("%s/key", dir);
    SL_AUTO_FREE char *json =
        sl_strf(PGP(",\"keyPaths\":[\"%s\",\"file://%s\",\"%s\"]"), path, path, path);
    write_file(path, "the key");
    SL_AUTO(sl_signature_policy) policy = accept(json);
    const struct sl_key_sources *keys = &policy->fallback.items[0].keys;
    assert_int_equal(keys->n, 3);
    for (size_t i = 0; i < keys->n; i++) {
        assert_false(keys->items[i].is_unreadable);
        assert_string_equal((const char *)keys->items[i].bytes.data, "the key");
    }
    assert_string_equal(keys->items[0].name, path);
    assert_string_equal(logged, "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

static void key_that_cannot_be_read_fails_its_requirement_only(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy) policy = accept(
        DOCKER("\"a.org\":[" NO ",{\"type\":\"sigstoreSigned\",\"keyPath\":\"/nonexistent/k\"}],"
               "\"b.org\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"YmFk\"}],"
               "\"c.org\":[{\"type\":\"sigstoreSigned\",\"keyData\":\"Z29vZA==\"}]"));
    const struct sl_requirement *unread = &policy->scopes[0].requirements.items[1];
    assert_null(unread->trust);
    assert_int_equal(unread->trust_code, SL_SIG_KEY_FETCH);
    assert_true(unread->keys.items[0].is_unreadable);
    assert_non_null(strstr(unread->keys.items[0].problem.msg, "/nonexistent/k"));
    assert_non_null(strstr(unread->trust_problem.msg, "/nonexistent/k"));
    const struct sl_requirement *unparsed = &policy->scopes[1].requirements.items[0];
    assert_null(unparsed->trust);
    assert_int_equal(unparsed->trust_code, SL_SIG_KEY_PARSE);
    assert_string_equal(unparsed->trust_problem.msg, "keyData: no PEM");
    assert_non_null(policy->scopes[2].requirements.items[0].trust);
    assert_non_null(strstr(logged, "docker scope \"a.org\": requirement 2 (sigstoreSigned) rejects "
                                   "every image: /nonexistent/k"));
    assert_non_null(strstr(logged, "docker scope \"b.org\": requirement 1 (sigstoreSigned) rejects "
                                   "every image: keyData: no PEM\n"));
    assert_null(strstr(logged, "c.org"));
}

/* ---- warnings ---- */

static void assert_warns(const char *json, const char *message)
{
    (void)sl_signature_policy_free(accept(json));
    bool is_right = *message ? strstr(logged, message) != NULL : !*logged;
    if (!is_right)
        fail_msg("%s: %s", json, logged);
}

static void policy_that_verifies_nothing_is_told(void **state)
{
    (void)state;
    static const char open[] =
        "{\"default\":[" ALL "," ALL "],\"transports\":{\"docker\":{\"a.org\":[" ALL "]}}}";
    const struct sl_signature_policy_options options = {.require_signed = true};
    SL_AUTO(sl_signature_policy) policy = NULL;
    struct sl_error err = {0};
    assert_warns(open, "signature policy: verification is disabled");
    assert_warns(ONE(NO), "");
    assert_error(parse(open, &options, &policy, &err), EACCES, SL_E_POLICY,
                 "signature policy: signatures are required");
    assert_done(parse("{\"default\":[" ALL "],\"transports\":{\"x\":{\"\":[" NO "]}}}", &options,
                      &policy, &err));
}

static void scope_that_fits_nothing_is_told(void **state)
{
    (void)state;
    static const char *const odd[] = {"busybox",
                                      "a.org/UPPER",
                                      "a.org/a b",
                                      "*.a.org:tag",
                                      "*.a.org/x",
                                      "*.a.org:5000",
                                      "*",
                                      "*.",
                                      "a.*.org",
                                      "ns/repo",
                                      "a.org/",
                                      "index.docker.io/x",
                                      "a.org/x@sha256:12",
                                      "docker.io/busybox:1",
                                      "a.org/x:1@" DIGEST,
                                      "https://a.org",
                                      "a.org//x"};
    static const char *const right[] = {"a.org",
                                        "a.org:5000",
                                        "localhost",
                                        "localhost/x",
                                        "a.org/x",
                                        "docker.io/library",
                                        "docker.io/library/busybox",
                                        "*.a.org",
                                        "*.org",
                                        "a.org/x@" DIGEST,
                                        "127.0.0.1:5000/x/y_z",
                                        "",
                                        "test:5000/x"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        SL_AUTO_FREE char *json = sl_strf(DOCKER("\"%s\":[" ALL "]"), odd[i]);
        SL_AUTO_FREE char *message = sl_strf("scope \"%s\" fits no image", odd[i]);
        assert_warns(json, message);
    }
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        SL_AUTO_FREE char *json = sl_strf(DOCKER("\"%s\":[" ALL "]"), right[i]);
        assert_warns(json, "");
    }
}

static void tag_stricter_than_its_repository_is_told(void **state)
{
    (void)state;
    static const char told[] = "scope \"a.org/x:1\" is stricter than";
#define SIGNED "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"YQ==\"}"
#define OPEN(scopes) "{\"default\":[" ALL "],\"transports\":{\"docker\":{" scopes "}}}"
    assert_warns(OPEN("\"a.org/x:1\":[" SIGNED "]"), told);
    assert_warns(OPEN("\"a.org/x:1\":[" NO "]"), told);
    assert_warns(OPEN("\"a.org/x:1\":[" SIGNED "," SIGNED "],\"a.org\":[" SIGNED "]"), told);
    assert_warns(DOCKER("\"a.org/x:1\":[" NO "],\"\":[" SIGNED "]"), told);
    assert_warns(OPEN("\"a.org/x:1\":[" SIGNED "],\"a.org\":[" SIGNED "]"), "");
    assert_warns(OPEN("\"a.org/x:1\":[" SIGNED "],\"a.org/x\":[" NO "]"), "");
    assert_warns(DOCKER("\"a.org/x:1\":[" SIGNED "]"), "");
    assert_warns(OPEN("\"a.org/x@" DIGEST "\":[" SIGNED "]"), "");
}

static void fulcio_without_certificate_log_is_told(void **state)
{
    (void)state;
    static const char told[] = "fulcio has no key of a certificate transparency log";
    assert_warns(COSIGN(FULCIO(CA MAIL) REKOR), told);
    assert_warns(COSIGN(FULCIO(CA MAIL) REKOR ",\"x-sct\":\"ignore\""), "");
    assert_warns(COSIGN(FULCIO(CA MAIL) REKOR ",\"x-ctKeyData\":\"YQ==\""), "");
    assert_warns(COSIGN(FULCIO(MAIL) ROOT), "");
}

/* ---- lookups ---- */

static void assert_found(const struct sl_signature_policy *policy, const char *name,
                         const char *wanted)
{
    const struct sl_requirements *list = NULL;
    const struct sl_policy_scope *scope = NULL;
    struct sl_error err = {0};
    assert_done(sl_policy_find(policy, name, &list, &scope, &err));
    const char *got = scope ? scope->scope : "(default)";
    if (strcmp(got, wanted) != 0 || (list == &policy->fallback) != !scope)
        fail_msg("%s: %s", name, got);
}

/* Every scope rejects. scopes: separated by blanks, with one behind the last. */
static struct sl_signature_policy *accept_scopes(const char *transport, const char *scopes)
{
    struct sl_bytes json = {0};
    struct sl_error err = {0};
    SL_AUTO_FREE char *head = sl_strf("{\"default\":[" NO "],\"transports\":{\"%s\":{", transport);
    assert_done(sl_bytes_append(&json, sl_span_of(head), 1 << 20, &err));
    for (const char *s = scopes; *s; s += strcspn(s, " ") + 1) {
        const char *comma = s == scopes ? "" : ",";
        SL_AUTO_FREE char *one = sl_strf("%s\"%.*s\":[" NO "]", comma, (int)strcspn(s, " "), s);
        assert_done(sl_bytes_append(&json, sl_span_of(one), 1 << 20, &err));
    }
    assert_done(
        sl_bytes_append(&json, sl_span_of("},\"atomic\":{\"x\":[" NO "]}}}"), 1 << 20, &err));
    struct sl_signature_policy *policy = accept((const char *)json.data);
    sl_bytes_done(&json);
    return policy;
}

static void find_takes_the_most_specific_scope(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy)
    policy = accept_scopes("docker", " unmatched deep.com *.very.deep.com *.deep.com deep.com/n1 "
                                     "deep.com/n1/n2 deep.com/n1/n2/n3 deep.com/n1/n2/n3/repo "
                                     "deep.com/n1/n2/n3/repo:tag2 "
                                     "deep.com/n1/n2/n3/repo@" DIGEST " ");
    static const char *const cases[][2] = {
        {"deep.com/n1/n2/n3/repo:tag2", "deep.com/n1/n2/n3/repo:tag2"},
        {"deep.com/n1/n2/n3/repo:nottag2", "deep.com/n1/n2/n3/repo"},
        {"deep.com/n1/n2/n3/repo:tag2@" DIGEST, "deep.com/n1/n2/n3/repo@" DIGEST},
        {"deep.com/n1/n2/n3/notrepo:tag2", "deep.com/n1/n2/n3"},
        {"deep.com/n1/n2/notn3/repo:tag2", "deep.com/n1/n2"},
        {"deep.com/n1/notn2/n3/repo:tag2", "deep.com/n1"},
        {"deep.com/notn1/n2/n3/repo:tag2", "deep.com"},
        {"very.deep.com/n1/n2/n3/repo:tag2", "*.deep.com"},
        {"not.very.deep.com/n1/n2/n3/repo:tag2", "*.very.deep.com"},
        {"this.does-not/match:anything", ""},
        {"deep.com:8443/n1:1", ""},
        {"oci:/deep.com/n1:1", "(default)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_found(policy, cases[i][0], cases[i][1]);
    /* Without "" a transport falls to the default of all. */
    SL_AUTO(sl_signature_policy) plain = accept_scopes("docker", "unmatched.org ");
    assert_found(plain, "this.does-not/match:anything", "(default)");
}

/* RFC 4343: names of hosts have no case, so that "A.org" is where "a.org" is. Paths and tags have.
 */
static void case_of_a_host_is_no_way_out_of_its_scope(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy)
    policy = accept_scopes("docker", " a.org a.org/x:Tag *.b.org C.org:5000/y A.org/lib ");
    static const char *const cases[][2] = {
        {"A.ORG/z:1", "a.org"},         {"a.org/lib/z:1", "A.org/lib"},
        {"A.org/x:Tag", "a.org/x:Tag"}, {"A.org/x:tag", "a.org"},
        {"Img.B.Org/z:1", "*.b.org"},   {"c.org:5000/y:1", "C.org:5000/y"},
        {"c.org:5000/Y:1", ""},         {"A.orgs/z:1", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_found(policy, cases[i][0], cases[i][1]);
}

static void case_of_a_directory_counts(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy) policy = accept_scopes("oci", " /srv/a ");
    assert_found(policy, "oci:/srv/a:1", "/srv/a");
    assert_found(policy, "oci:/Srv/a:1", "");
    assert_found(policy, "oci:/srv/A:1", "");
}

static void find_of_a_layout_goes_by_clean_paths(void **state)
{
    (void)state;
    SL_AUTO(sl_signature_policy) policy = accept_scopes("oci", " /srv /srv/a ");
    SL_AUTO(sl_signature_policy) none = accept_scopes("oci", " ");
    const struct sl_requirements *list = NULL;
    const struct sl_policy_scope *scope = NULL;
    struct sl_error err = {0};
    assert_found(policy, "oci:/srv/a/b:tag", "/srv/a");
    assert_found(policy, "oci:/srv/ab:tag", "/srv");
    assert_found(policy, "oci:/var/ab:tag", "");
    assert_error(sl_policy_find(policy, "oci:/srv/../var/x:1", &list, &scope, &err), EACCES,
                 SL_E_POLICY, "absolute path");
    assert_error(sl_policy_find(policy, "oci:srv/x:1", &list, &scope, &err), EACCES, SL_E_POLICY,
                 "absolute path");
    assert_found(none, "oci:srv/x:1", "");
}

static void needs_are_those_of_the_selected_list(void **state)
{
    (void)state;
#define SIGSTORE "{\"type\":\"sigstoreSigned\",\"keyData\":\"YQ==\"}"
    SL_AUTO(sl_signature_policy) policy =
        accept(DOCKER("\"a.org\":[" ALL "," SIGNED "],\"b.org\":[" SIGSTORE "],\"c.org\":[" SIGNED
                      "," SIGSTORE "," NO "],\"d.org\":[" NO "," SIGNED "," SIGSTORE "]"));
    static const struct {
        const char *name;
        bool simple, sigstore;
    } cases[] = {{"a.org/x:1", true, false},
                 {"b.org/x:1", false, true},
                 {"c.org/x:1", true, true},
                 {"d.org/x:1", false, false},
                 {"e.org/x:1", false, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_signature_needs needs = {0};
        struct sl_error err = {0};
        assert_done(sl_signature_policy_needs(policy, cases[i].name, &needs, &err));
        if (needs.simple != cases[i].simple || needs.sigstore != cases[i].sigstore)
            fail_msg("%s: %d %d", cases[i].name, needs.simple, needs.sigstore);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_of_wrong_shape_is_refused),
        cmocka_unit_test(requirement_of_wrong_shape_is_refused),
        cmocka_unit_test(signed_by_of_wrong_shape_is_refused),
        cmocka_unit_test(identity_of_wrong_shape_is_refused),
        cmocka_unit_test(sigstore_signed_of_wrong_shape_is_refused),
        cmocka_unit_test(scope_is_checked_as_its_transport_does),
        cmocka_unit_test(errors_say_line_and_column),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(worked_example_is_understood),
        cmocka_unit_test(every_legal_form_is_accepted),
        cmocka_unit_test(sigstore_members_reach_their_fields),
        cmocka_unit_test(digest_is_that_of_the_bytes),
        cmocka_unit_test(image_rs_dialect_is_understood_when_asked),
        cmocka_unit_test(image_rs_dialect_is_strict_otherwise),
        cmocka_unit_test(keys_are_read_with_the_policy),
        cmocka_unit_test(key_that_cannot_be_read_fails_its_requirement_only),
        cmocka_unit_test(policy_that_verifies_nothing_is_told),
        cmocka_unit_test(scope_that_fits_nothing_is_told),
        cmocka_unit_test(tag_stricter_than_its_repository_is_told),
        cmocka_unit_test(fulcio_without_certificate_log_is_told),
        cmocka_unit_test(find_takes_the_most_specific_scope),
        cmocka_unit_test(case_of_a_host_is_no_way_out_of_its_scope),
        cmocka_unit_test(case_of_a_directory_counts),
        cmocka_unit_test(find_of_a_layout_goes_by_clean_paths),
        cmocka_unit_test(needs_are_those_of_the_selected_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
