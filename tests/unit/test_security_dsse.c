/* SPDX-License-Identifier: Apache-2.0 */
#include "dsse.h"

#include "text_edit.h"

#define HEX "dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe"

/* ---- the encoding under the signature ---- */

static void assert_pae(const char *type, const char *payload, const char *want)
{
    SL_AUTO_DONE(sl_bytes) pae = {0};
    struct sl_error err = {0};
    assert_done(sl_dsse_pae(type, sl_span_of(payload), &pae, &err));
    assert_string_equal((const char *)pae.data, want);
}

static void pae_is_that_of_the_specification(void **state)
{
    (void)state;
    /* protocol.md, "Test Vectors". */
    assert_pae("http://example.com/HelloWorld", "hello world",
               "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_pae("", "", "DSSEv1 0  0 ");
    /* Lengths count bytes, not characters. */
    assert_pae("\xc3\xa9", "\xe2\x82\xac", "DSSEv1 2 \xc3\xa9 3 \xe2\x82\xac");
}

static void pae_of_a_statement_has_the_published_length(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_bytes) pae = {0};
    struct sl_error err = {0};
    uint8_t payload[432] = {0};
    assert_done(
        sl_dsse_pae(SL_DSSE_PAYLOAD_TYPE, (struct sl_span){payload, sizeof(payload)}, &pae, &err));
    assert_int_equal(pae.len, 475);
    assert_memory_equal(pae.data, "DSSEv1 28 application/vnd.in-toto+json 432 ", 43);
}

/* ---- the envelope ---- */

#define ENVELOPE                                                                                   \
    "{\"payload\":\"e30=\",\"payloadType\":\"application/vnd.in-toto+json\","                      \
    "\"signatures\":[{\"sig\":\"AAEC\",\"keyid\":\"k\"}]}"

static int read_envelope(const char *json, struct sl_dsse_envelope *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(sl_span_of(json), "envelope", NULL, &doc, err);
    return r < 0 ? r : sl_dsse_envelope_read(sl_json_root(doc), ret, err);
}

static void envelope_gives_payload_and_signature(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_dsse_envelope) envelope = {0};
    struct sl_error err = {0};
    assert_done(read_envelope(ENVELOPE, &envelope, &err));
    assert_string_equal(envelope.payload_type, SL_DSSE_PAYLOAD_TYPE);
    assert_string_equal((const char *)envelope.payload.data, "{}");
    assert_int_equal(envelope.signature.len, 3);
}

static void spoiled_envelopes_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"[{\"sig\":\"AAEC\",\"keyid\":\"k\"}]", "[]", "0 signatures"},
        {"\"keyid\":\"k\"}", "\"keyid\":\"k\"},{\"sig\":\"AAEC\"}", "2 signatures"},
        {",\"signatures\":[{\"sig\":\"AAEC\",\"keyid\":\"k\"}]", "", "0 signatures"},
        {"[{\"sig\":\"AAEC\",\"keyid\":\"k\"}]", "{}", "must be a list"},
        {"{\"sig\":\"AAEC\",\"keyid\":\"k\"}", "\"AAEC\"", "must be an object"},
        {"\"sig\":\"AAEC\",", "", "'sig' is missing"},
        {"AAEC", "", "'sig' is missing"},
        {"AAEC", "AAE", "'sig'"},
        {"AAEC", "AA EC", "'sig'"},
        {"AAEC", "AAEC\\n", "'sig'"},
        {"AAEC", "AA-_", "'sig'"},
        {"\"AAEC\"", "7", "must be a string"},
        {"\"keyid\":\"k\"", "\"keyid\":1", "must be a string"},
        {"\"keyid\"", "\"cert\"", "unknown member 'cert'"},
        {"\"payload\":\"e30=\",", "", "'payload' is missing"},
        {"e30=", "e30", "'payload'"},
        {"{\"payload\"", "{\"extra\":1,\"payload\"", "unknown member 'extra'"},
        {"\"application/vnd.in-toto+json\"", "[]", "'payloadType' must be a string"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit(ENVELOPE, cases[i][0], cases[i][1]);
        SL_AUTO_DONE(sl_dsse_envelope) envelope = {0};
        struct sl_error err = {0};
        assert_error(read_envelope(json, &envelope, &err), EINVAL, SL_E_FORMAT, cases[i][2]);
    }
}

/* ---- the statement ---- */

#define STATEMENT                                                                                  \
    "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"digest\":{\"sha256\":\"" HEX   \
    "\"}}],\"predicateType\":\"https://sigstore.dev/cosign/sign/v1\",\"predicate\":{}}"

static struct sl_digest digest_of(const char *text)
{
    struct sl_digest digest = {0};
    struct sl_error err = {0};
    assert_done(sl_digest_parse(text, &digest, &err));
    return digest;
}

static bool names(const char *json, const struct sl_digest *digest)
{
    SL_AUTO_DONE(sl_statement) statement = {0};
    struct sl_error err = {0};
    assert_done(sl_statement_parse(sl_span_of(json), &statement, &err));
    return sl_statement_names(&statement, digest);
}

static void statement_names_what_a_subject_says(void **state)
{
    (void)state;
    static const char *const subjects[] = {
        "{\"name\":\"a\",\"digest\":{\"sha256\":\"00\"}},{\"digest\":{\"sha256\":\"" HEX "\"}}",
        "{\"digest\":{\"gitCommit\":\"ab\",\"sha256\":\"" HEX "\"},\"annotations\":{\"x\":\"y\"}}",
        "{\"digest\":{\"sha256\":\"" HEX "\"},\"later\":[]}",
    };
    struct sl_digest digest = digest_of("sha256:" HEX);
    struct sl_digest other = digest;
    other.bytes[31] ^= 1;
    struct sl_digest longer = digest_of("sha512:" HEX HEX);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        SL_AUTO_FREE char *json =
            text_edit(STATEMENT, "{\"digest\":{\"sha256\":\"" HEX "\"}}", subjects[i]);
        assert_true(names(json, &digest));
        assert_false(names(json, &other));
        assert_false(names(json, &longer));
    }
}

static void near_misses_name_nothing(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"dff90087", "DFF90087"},         /* in-toto: lower-case hex */
        {"{\"sha256\":", "{\"sha512\":"}, /* same bytes, other sum */
        {"{\"sha256\":\"", "{\"sha256\":\"sha256:"},
        {"fcfe\"", "fc\""},
        {"fcfe\"", "fcfe00\""},
        {"\"sha256\":\"" HEX, "\"sha256\":\""},
    };
    struct sl_digest digest = digest_of("sha256:" HEX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit(STATEMENT, cases[i][0], cases[i][1]);
        if (names(json, &digest))
            fail_msg("%s", json);
    }
}

static void spoiled_statements_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"Statement/v1", "Statement/v0.1", "'_type'"},
        {"Statement/v1", "Statement/v1/", "'_type'"},
        {"\"_type\":\"https://in-toto.io/Statement/v1\",", "", "'_type'"},
        {"\"https://in-toto.io/Statement/v1\"", "1", "'_type'"},
        {"\"predicateType\"", "\"predicatetype\"", "'predicateType'"},
        {"\"https://sigstore.dev/cosign/sign/v1\"", "\"\"", "'predicateType'"},
        {"\"https://sigstore.dev/cosign/sign/v1\"", "null", "'predicateType'"},
        {"{\"digest\":{\"sha256\":\"" HEX "\"}}", "", "at least one"},
        {"[{\"digest\":{\"sha256\":\"" HEX "\"}}]", "{}", "'subject'"},
        {"{\"digest\":{\"sha256\":\"" HEX "\"}}", "{}", "'digest'"},
        {"{\"sha256\":\"" HEX "\"}", "{}", "'digest'"},
        {"\"" HEX "\"", "5", "must be a string"},
        {"\"subject\"", "\"_type\":\"\",\"subject\"", ""},
        {"\"predicate\":{}}", "\"predicate\":{}}x", ""},
        {HEX, HEX "\\u0000", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *json = text_edit(STATEMENT, cases[i][0], cases[i][1]);
        SL_AUTO_DONE(sl_statement) statement = {0};
        struct sl_error err = {0};
        assert_error(sl_statement_parse(sl_span_of(json), &statement, &err), EINVAL, SL_E_FORMAT,
                     cases[i][2]);
        assert_null(statement.subjects);
    }
}

static void a_longer_sum_is_not_looked_for(void **state)
{
    (void)state;
    SL_AUTO_FREE char *json = text_edit(STATEMENT, HEX, HEX HEX);
    struct sl_digest longer = digest_of("sha512:" HEX HEX);
    assert_false(names(json, &longer));
}

/* A list of n copies of a piece, with a number in each. */
static char *numbered(const char *piece, int n)
{
    SL_AUTO_DONE(sl_bytes) list = {0};
    for (int i = 0; i < n; i++) {
        SL_AUTO_FREE char *number = sl_strf("%d", i);
        SL_AUTO_FREE char *item = text_edit(piece, "#", number);
        assert_int_equal(sl_bytes_append(&list, sl_span_of(i ? "," : ""), 1 << 20, NULL), 0);
        assert_int_equal(sl_bytes_append(&list, sl_span_of(item), 1 << 20, NULL), 0);
    }
    return strdup((const char *)list.data);
}

static void subjects_and_digests_have_limits(void **state)
{
    (void)state;
    static const struct {
        const char *from, *piece;
        int max;
    } cases[] = {
        {"{\"digest\":{\"sha256\":\"" HEX "\"}}", "{\"digest\":{\"sha1\":\"#\"}}", 1024},
        {"\"sha256\":\"" HEX "\"", "\"x#\":\"\"", 32},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int more = 0; more < 2; more++) {
            SL_AUTO_FREE char *list = numbered(cases[i].piece, cases[i].max + more);
            SL_AUTO_FREE char *json = text_edit(STATEMENT, cases[i].from, list);
            SL_AUTO_DONE(sl_statement) statement = {0};
            struct sl_error err = {0};
            if (more)
                assert_error(sl_statement_parse(sl_span_of(json), &statement, &err), E2BIG,
                             SL_E_LIMIT, "more than");
            else
                assert_done(sl_statement_parse(sl_span_of(json), &statement, &err));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pae_is_that_of_the_specification),
        cmocka_unit_test(pae_of_a_statement_has_the_published_length),
        cmocka_unit_test(envelope_gives_payload_and_signature),
        cmocka_unit_test(spoiled_envelopes_are_refused),
        cmocka_unit_test(statement_names_what_a_subject_says),
        cmocka_unit_test(near_misses_name_nothing),
        cmocka_unit_test(a_longer_sum_is_not_looked_for),
        cmocka_unit_test(spoiled_statements_are_refused),
        cmocka_unit_test(subjects_and_digests_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
