/* SPDX-License-Identifier: Apache-2.0 */
#include "signature_payload.h"

#include "assert_result.h"

#define DIGEST "sha256:bc8813ea7b3603864987522f02a76101c17ad122e1c46d790efc0fca78ca7bfb"
#define REFERENCE "registry.example/web/api:1.4"
#define IMAGE "\"image\":{\"docker-manifest-digest\":\"" DIGEST "\"}"
#define IDENTITY "\"identity\":{\"docker-reference\":\"" REFERENCE "\"}"
#define TYPE "\"type\":\"atomic container signature\""
#define COSIGN "\"type\":\"cosign container image signature\""
#define WITH(critical, optional) "{\"critical\":" critical ",\"optional\":" optional "}"
#define CRITICAL(type) "{" IDENTITY "," IMAGE "," type "}"

/* Which names a rule accepts is tested elsewhere. */
bool __wrap_sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                                const char *signed_reference);
bool __wrap_sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                                const char *signed_reference)
{
    (void)rule;
    return strcmp(image_name, signed_reference) == 0;
}

/* ---- reading ---- */

static void payload_with_everything_is_read(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_signature_payload) payload = {0};
    struct sl_error err = {0};
    assert_done(sl_signature_payload_parse(
        sl_span_of(WITH(CRITICAL(TYPE), "{\"creator\":\"atomic 2.0.0\",\"timestamp\":1634533638,"
                                        "\"note\":[{\"any\":null}]}")),
        SL_PAYLOAD_TYPE_SIMPLE, &payload, &err));
    assert_string_equal(payload.reference, REFERENCE);
    assert_string_equal(payload.digest, DIGEST);
    assert_string_equal(payload.creator, "atomic 2.0.0");
    assert_true(payload.has_timestamp);
    assert_int_equal(payload.timestamp, 1634533638);
}

static void payload_in_any_order_and_with_blanks_is_read(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {WITH(CRITICAL(TYPE), "{}"), SL_PAYLOAD_TYPE_SIMPLE},
        {" {\n\"optional\" : {} ,\"critical\" :{" TYPE "," IMAGE "," IDENTITY "}}\n ",
         SL_PAYLOAD_TYPE_SIMPLE},
        {WITH(CRITICAL(TYPE), "{\"timestamp\":-1}"), SL_PAYLOAD_TYPE_SIMPLE},
        {WITH(CRITICAL(COSIGN), "null"), SL_PAYLOAD_TYPE_COSIGN},
        {WITH(CRITICAL(COSIGN), "{}"), SL_PAYLOAD_TYPE_COSIGN},
        {WITH(CRITICAL(COSIGN), "{\"key\":\"value\"}"), SL_PAYLOAD_TYPE_COSIGN},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        SL_AUTO_DONE(sl_signature_payload) payload = {0};
        struct sl_error err = {0};
        assert_done(
            sl_signature_payload_parse(sl_span_of(texts[i][0]), texts[i][1], &payload, &err));
        assert_null(payload.creator);
    }
}

struct mutation {
    const char *text;
    const char *says;
};

static void assert_all_refused(const struct mutation *mutations, size_t n, const char *type)
{
    for (size_t i = 0; i < n; i++) {
        struct sl_signature_payload payload = {0};
        struct sl_error err = {0};
        int r = sl_signature_payload_parse(sl_span_of(mutations[i].text), type, &payload, &err);
        if (r >= 0 || err.code != SL_E_FORMAT || !strstr(err.msg, mutations[i].says))
            fail_msg("%s: %d, %s", mutations[i].text, r, err.msg);
        assert_null(payload.reference);
        assert_null(payload.digest);
    }
}

#define CRITICAL_DIGEST(digest)                                                                    \
    "{" IDENTITY ",\"image\":{\"docker-manifest-digest\":" digest "}," TYPE "}"
#define HEX31 "bc8813ea7b3603864987522f02a76101c17ad122e1c46d790efc0fca78ca7b"

static void payload_that_is_not_exactly_one_is_refused(void **state)
{
    (void)state;
    static const struct mutation mutations[] = {
        {"", "payload"},
        {"null", "it must be an object"},
        {"[]", "it must be an object"},
        {"{}", "has no critical"},
        {"{\"critical\":" CRITICAL(TYPE) "}", "has no optional"},
        {"{\"optional\":{}}", "has no critical"},
        {"{\"critical\":" CRITICAL(TYPE) ",\"optional\":{},\"more\":1}", "nobody knows"},
        {"{\"Critical\":" CRITICAL(TYPE) ",\"optional\":{}}", "has no critical"},
        {"{\"critical\":" CRITICAL(TYPE) ",\"critical\":" CRITICAL(TYPE) ",\"optional\":{}}",
         "critical"},
        {WITH(CRITICAL(TYPE), "{}") "x", "payload"},
        {WITH(CRITICAL(TYPE), "{}") "{}", "payload"},
        {WITH("null", "{}"), "critical must be an object"},
        {WITH("[]", "{}"), "critical must be an object"},
        {WITH("{}", "{}"), "critical has no type"},
        {WITH("{" IMAGE "," TYPE "}", "{}"), "critical has no identity"},
        {WITH("{" IDENTITY "," TYPE "}", "{}"), "critical has no image"},
        {WITH("{" IDENTITY "," IMAGE "}", "{}"), "critical has no type"},
        {WITH("{" IDENTITY "," IMAGE "," TYPE ",\"more\":1}", "{}"), "nobody knows"},
        {WITH("{" IDENTITY "," IMAGE "," TYPE "," TYPE "}", "{}"), "type"},
        {WITH(CRITICAL("\"type\":1"), "{}"), "its type is not"},
        {WITH(CRITICAL("\"type\":\"\""), "{}"), "its type is not"},
        {WITH(CRITICAL(COSIGN), "{}"), "its type is not"},
        {WITH(CRITICAL("\"type\":\"atomic container signature \""), "{}"), "its type is not"},
        {WITH(CRITICAL("\"type\":\"atomic container signature\\u0000\""), "{}"), "payload"},
        {WITH("{" IDENTITY ",\"image\":null," TYPE "}", "{}"), "image must be an object"},
        {WITH("{" IDENTITY ",\"image\":{}," TYPE "}", "{}"), "image has no docker-manifest-digest"},
        {WITH("{" IDENTITY ",\"image\":{\"docker-manifest-digest\":\"" DIGEST "\",\"x\":1}," TYPE
              "}",
              "{}"),
         "image has a member nobody knows"},
        {WITH(CRITICAL_DIGEST("1"), "{}"), "docker-manifest-digest"},
        {WITH(CRITICAL_DIGEST("\"\""), "{}"), "not a digest"},
        {WITH(CRITICAL_DIGEST("\"sha256:../..\""), "{}"), "not a digest"},
        {WITH(CRITICAL_DIGEST("\"sha256:" HEX31 "FB\""), "{}"), "not a digest"},
        {WITH(CRITICAL_DIGEST("\"sha256:" HEX31 "\""), "{}"), "not a digest"},
        {WITH(CRITICAL_DIGEST("\"sha512:" HEX31 "fb\""), "{}"), "not a digest"},
        {WITH(CRITICAL_DIGEST("\"" HEX31 "fb\""), "{}"), "not a digest"},
        {WITH("{\"identity\":null," IMAGE "," TYPE "}", "{}"), "identity must be an object"},
        {WITH("{\"identity\":{}," IMAGE "," TYPE "}", "{}"), "identity has no docker-reference"},
        {WITH("{\"identity\":{\"docker-reference\":null}," IMAGE "," TYPE "}", "{}"),
         "docker-reference"},
        {WITH("{\"identity\":{\"docker-reference\":\"a\",\"x\":1}," IMAGE "," TYPE "}", "{}"),
         "identity has a member nobody knows"},
        {WITH(CRITICAL(TYPE), "null"), "optional must be an object"},
        {WITH(CRITICAL(TYPE), "[]"), "optional must be an object"},
        {WITH(CRITICAL(TYPE), "{\"creator\":1}"), "creator"},
        {WITH(CRITICAL(TYPE), "{\"creator\":null}"), "creator"},
        {WITH(CRITICAL(TYPE), "{\"timestamp\":\"1\"}"), "timestamp is not an integer"},
        {WITH(CRITICAL(TYPE), "{\"timestamp\":0.5}"), "timestamp is not an integer"},
        {WITH(CRITICAL(TYPE), "{\"timestamp\":null}"), "timestamp is not an integer"},
        {WITH(CRITICAL(TYPE), "{\"timestamp\":9223372036854775808}"),
         "timestamp is not an integer"},
        {WITH(CRITICAL(TYPE), "{\"x\":1,\"x\":1}"), "x"},
    };
    assert_all_refused(mutations, sizeof(mutations) / sizeof(mutations[0]), SL_PAYLOAD_TYPE_SIMPLE);
}

static void cosign_payload_that_is_not_exactly_one_is_refused(void **state)
{
    (void)state;
    static const struct mutation mutations[] = {
        {WITH(CRITICAL(TYPE), "null"), "its type is not"},
        {"{\"critical\":" CRITICAL(COSIGN) "}", "has no optional"},
        {"{\"critical\":" CRITICAL(COSIGN) ",\"optional\":null,\"Optional\":null}", "nobody knows"},
        {WITH(CRITICAL(COSIGN), "[]"), "optional must be an object"},
        {WITH(CRITICAL(COSIGN), "{\"timestamp\":1.5}"), "timestamp is not an integer"},
        {WITH("null", "null"), "critical must be an object"},
    };
    assert_all_refused(mutations, sizeof(mutations) / sizeof(mutations[0]), SL_PAYLOAD_TYPE_COSIGN);
}

static void payload_too_deep_or_too_large_hits_a_limit(void **state)
{
    (void)state;
    struct sl_signature_payload payload = {0};
    struct sl_error err;
    assert_error(
        sl_signature_payload_parse(sl_span_of(WITH(CRITICAL(TYPE), "{\"x\":[[[[[[[[1]]]]]]]]}")),
                                   SL_PAYLOAD_TYPE_SIMPLE, &payload, &err),
        E2BIG, SL_E_LIMIT, "payload");
    char *large = malloc(SL_SIGNATURE_PAYLOAD_MAX + 1);
    assert_non_null(large);
    memset(large, ' ', SL_SIGNATURE_PAYLOAD_MAX + 1);
    memcpy(large, WITH(CRITICAL(TYPE), "{}"), strlen(WITH(CRITICAL(TYPE), "{}")));
    struct sl_span span = {(const uint8_t *)large, SL_SIGNATURE_PAYLOAD_MAX + 1};
    assert_error(sl_signature_payload_parse(span, SL_PAYLOAD_TYPE_SIMPLE, &payload, &err), E2BIG,
                 SL_E_LIMIT, "payload");
    span.len--;
    assert_done(sl_signature_payload_parse(span, SL_PAYLOAD_TYPE_SIMPLE, &payload, &err));
    sl_signature_payload_done(&payload);
    free(large);
}

/* ---- writing ---- */

/* Texts as skopeo standalone-sign and cosign sign write them. */
static void payload_is_written_as_others_do(void **state)
{
    (void)state;
    static const struct {
        const char *type, *creator;
        int64_t timestamp;
        const char *text;
    } cases[] = {
        {SL_PAYLOAD_TYPE_SIMPLE, "atomic 1", 1700000000,
         WITH(CRITICAL(TYPE), "{\"creator\":\"atomic 1\",\"timestamp\":1700000000}")},
        {SL_PAYLOAD_TYPE_SIMPLE, NULL, 0, WITH(CRITICAL(TYPE), "{}")},
        {SL_PAYLOAD_TYPE_COSIGN, NULL, 0, WITH(CRITICAL(COSIGN), "null")},
        {SL_PAYLOAD_TYPE_COSIGN, "x", 1,
         WITH(CRITICAL(COSIGN), "{\"creator\":\"x\",\"timestamp\":1}")},
    };
    struct sl_digest digest;
    assert_int_equal(sl_digest_parse(DIGEST, &digest, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) text = {0};
        SL_AUTO_DONE(sl_signature_payload) payload = {0};
        struct sl_error err = {0};
        assert_done(sl_signature_payload_write(cases[i].type, REFERENCE, &digest, cases[i].creator,
                                               cases[i].timestamp, &text, &err));
        assert_string_equal((const char *)text.data, cases[i].text);
        assert_int_equal(text.len, strlen(cases[i].text));
        assert_done(
            sl_signature_payload_parse(sl_bytes_span(&text), cases[i].type, &payload, &err));
        assert_string_equal(payload.reference, REFERENCE);
    }
}

/* ---- judging ---- */

#define MANIFEST "{\"schemaVersion\":2}"
#define MANIFEST_256 "sha256:bc8813ea7b3603864987522f02a76101c17ad122e1c46d790efc0fca78ca7bfb"

static char *digest_of(struct sl_span bytes, enum sl_digest_alg alg, struct sl_digest *ret)
{
    char *text = malloc(SL_DIGEST_TEXT_MAX);
    assert_non_null(text);
    assert_int_equal(sl_digest_of(alg, bytes, ret, NULL), 0);
    sl_digest_format(ret, text);
    return text;
}

static void digest_of_manifest_or_index_is_accepted(void **state)
{
    (void)state;
    struct sl_signature_finding finding = {0};
    struct sl_digest ignored;
    struct sl_judged_image image = {.name = REFERENCE, .manifest = sl_span_of(MANIFEST)};
    SL_AUTO_FREE char *m256 = digest_of(image.manifest, SL_SHA256, &image.manifest_digest);
    SL_AUTO_FREE char *m512 = digest_of(image.manifest, SL_SHA512, &ignored);
    SL_AUTO_FREE char *index = sl_strf("{\"manifests\":[{},{\"digest\":\"%s\"}]}", m256);
    image.index = sl_span_of(index);
    SL_AUTO_FREE char *i256 = digest_of(image.index, SL_SHA256, &image.index_digest);
    SL_AUTO_FREE char *i512 = digest_of(image.index, SL_SHA512, &ignored);

    assert_int_equal(sl_signed_digest_check(&image, m256, &finding), 0);
    assert_int_equal(sl_signed_digest_check(&image, m512, &finding), 0);
    assert_int_equal(sl_signed_digest_check(&image, i256, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_DIGEST);
    image.has_index = true;
    finding.names_index = true;
    assert_int_equal(sl_signed_digest_check(&image, m256, &finding), 0);
    assert_false(finding.names_index);
    assert_int_equal(sl_signed_digest_check(&image, i256, &finding), 0);
    assert_true(finding.names_index);
    assert_int_equal(sl_signed_digest_check(&image, i512, &finding), 0);
    assert_true(finding.names_index);
}

static void digest_of_anything_else_is_refused(void **state)
{
    (void)state;
    struct sl_signature_finding finding = {0};
    struct sl_judged_image image = {.name = REFERENCE, .manifest = sl_span_of(MANIFEST)};
    SL_AUTO_FREE char *m256 = digest_of(image.manifest, SL_SHA256, &image.manifest_digest);
    char *other = strdup(m256);
    assert_non_null(other);
    other[20] = other[20] == '0' ? '1' : '0';
    assert_int_equal(sl_signed_digest_check(&image, other, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_DIGEST);
    other[20] = 'G';
    assert_int_equal(sl_signed_digest_check(&image, other, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_PAYLOAD);
    free(other);
    /* An index of other images. */
    image.has_index = true;
    image.index = sl_span_of("{\"manifests\":[{\"digest\":\"" MANIFEST_256 "\"}]}");
    SL_AUTO_FREE char *i256 = digest_of(image.index, SL_SHA256, &image.index_digest);
    assert_int_equal(sl_signed_digest_check(&image, i256, &finding), -EKEYREJECTED);
    assert_int_equal(finding.code, SL_SIG_DIGEST);
    assert_false(finding.names_index);
}

static void payload_is_checked_in_order(void **state)
{
    (void)state;
    struct sl_judged_image image = {.name = REFERENCE, .manifest = sl_span_of(MANIFEST)};
    struct sl_requirement requirement = {.type = SL_REQUIRE_SIGNED_BY};
    struct sl_error err = {0};
    SL_AUTO_FREE char *m256 = digest_of(image.manifest, SL_SHA256, &image.manifest_digest);
    struct sl_digest other = image.manifest_digest;
    other.bytes[0] ^= 1;
    const struct {
        const char *reference;
        const struct sl_digest *digest;
        enum sl_signature_code code;
        const char *signed_name;
    } cases[] = {
        {REFERENCE, &image.manifest_digest, SL_SIG_OK, REFERENCE},
        {"other:1", &image.manifest_digest, SL_SIG_IDENTITY, "other:1"},
        {REFERENCE, &other, SL_SIG_DIGEST, ""},
        {"other:1", &other, SL_SIG_DIGEST, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) text = {0};
        struct sl_signature_finding finding = {.code = SL_SIG_NONE, .reason = "x"};
        assert_done(sl_signature_payload_write(SL_PAYLOAD_TYPE_COSIGN, cases[i].reference,
                                               cases[i].digest, NULL, 0, &text, &err));
        int r = sl_signature_payload_check(sl_bytes_span(&text), SL_PAYLOAD_TYPE_COSIGN,
                                           &requirement, &image, &finding);
        assert_int_equal(r, cases[i].code == SL_SIG_OK ? 0 : -EKEYREJECTED);
        assert_int_equal(finding.code, cases[i].code);
        assert_string_equal(finding.signed_name, cases[i].signed_name);
        assert_int_equal(finding.reason[0] == 0, cases[i].code == SL_SIG_OK);
        assert_int_equal(sl_signature_payload_check(sl_bytes_span(&text), SL_PAYLOAD_TYPE_SIMPLE,
                                                    &requirement, &image, &finding),
                         -EKEYREJECTED);
        assert_int_equal(finding.code, SL_SIG_PAYLOAD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_with_everything_is_read),
        cmocka_unit_test(payload_in_any_order_and_with_blanks_is_read),
        cmocka_unit_test(payload_that_is_not_exactly_one_is_refused),
        cmocka_unit_test(cosign_payload_that_is_not_exactly_one_is_refused),
        cmocka_unit_test(payload_too_deep_or_too_large_hits_a_limit),
        cmocka_unit_test(payload_is_written_as_others_do),
        cmocka_unit_test(digest_of_manifest_or_index_is_accepted),
        cmocka_unit_test(digest_of_anything_else_is_refused),
        cmocka_unit_test(payload_is_checked_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
