/* SPDX-License-Identifier: Apache-2.0 */
/* The vectors are requests and answers as ocicrypt (Go) and CoCo's key provider wrote them. */
#include "provider_messages.h"

#include "assert_result.h"

#include <fcntl.h>

#define VECTOR(name) SL_TEST_DATA "/vectors/" name
#define WRAP_REQUEST VECTOR("ocicrypt_keyprovider_wrap_request.json")
#define UNWRAP_REQUEST VECTOR("ocicrypt_keyprovider_unwrap_request.json")
#define UNWRAP_ANSWER VECTOR("ocicrypt_keyprovider_unwrap_answer_go.json")
#define PACKET_P1 VECTOR("coco_packet_p1_v1.json")
#define PLBCO_P1 VECTOR("coco_packet_p1_plbco.json")
#define PLBCO_L1 VECTOR("ocicrypt_l1_plbco.json")

static struct sl_bytes read_vector(const char *path)
{
    struct sl_bytes b = {0};
    struct sl_error err = {0};
    assert_done(sl_read_file(AT_FDCWD, path, 1 << 20, &b, &err));
    return b;
}

static void assert_bytes(const struct sl_bytes *got, const char *want_path)
{
    SL_AUTO_DONE(sl_bytes) want = read_vector(want_path);
    assert_int_equal(got->len, want.len);
    assert_memory_equal(got->data, want.data, want.len);
}

static struct sl_span text(const struct sl_bytes *b)
{
    return sl_bytes_span(b);
}

/* ---- asking ---- */

static void assert_request(enum sl_provider_op op, const char *params, const char *payload_path,
                           const char *want_path, size_t want_len)
{
    SL_AUTO_DONE(sl_bytes) payload = read_vector(payload_path);
    SL_AUTO_DONE(sl_bytes) request = {0};
    struct sl_error err = {0};
    assert_done(
        sl_provider_request_write(op, "attestation-agent", params, text(&payload), &request, &err));
    assert_bytes(&request, want_path);
    assert_int_equal(request.len, want_len);
}

static void request_wrap_is_what_skopeo_sends(void **state)
{
    (void)state;
    assert_request(SL_PROVIDER_WRAP, "sample=true", PLBCO_L1, WRAP_REQUEST, 453);
}

static void request_unwrap_is_what_skopeo_sends(void **state)
{
    (void)state;
    assert_request(SL_PROVIDER_UNWRAP, "offline_fs_kbc::null", PACKET_P1, UNWRAP_REQUEST, 673);
}

static void request_without_params_has_empty_maps(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) wrap = {0};
    SL_AUTO_DONE(sl_bytes) unwrap = {0};
    struct sl_span payload = sl_span_of("x");
    assert_done(sl_provider_request_write(SL_PROVIDER_WRAP, "a\"b", NULL, payload, &wrap, &err));
    assert_done(sl_provider_request_write(SL_PROVIDER_UNWRAP, "a", NULL, payload, &unwrap, &err));
    assert_string_equal((const char *)wrap.data,
                        "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{},"
                        "\"DecryptConfig\":{\"Parameters\":{}}},\"optsdata\":\"eA==\"},"
                        "\"keyunwrapparams\":{\"dc\":null,\"annotation\":null}}");
    assert_string_equal(
        (const char *)unwrap.data,
        "{\"op\":\"keyunwrap\",\"keywrapparams\":{\"ec\":null,\"optsdata\":null},"
        "\"keyunwrapparams\":{\"dc\":{\"Parameters\":{}},\"annotation\":\"eA==\"}}");
}

static void request_name_is_quoted(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) b = {0};
    assert_done(
        sl_provider_request_write(SL_PROVIDER_UNWRAP, "a\"]", "x", sl_span_of("y"), &b, &err));
    assert_non_null(strstr((const char *)b.data, "{\"Parameters\":{\"a\\\"]\":[\"eA==\"]}}"));
}

static void answer_is_read_in_both_encodings(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) plbco = read_vector(PLBCO_P1);
    SL_AUTO_DONE(sl_bytes) go = read_vector(UNWRAP_ANSWER);
    SL_AUTO_DONE(sl_bytes) rust = {0};
    SL_AUTO_DONE(sl_bytes) from_go = {0};
    SL_AUTO_DONE(sl_bytes) from_rust = {0};
    assert_done(sl_provider_answer_write(SL_PROVIDER_UNWRAP, text(&plbco), &rust, &err));
    assert_done(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, text(&go), &from_go, &err));
    assert_done(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, text(&rust), &from_rust, &err));
    assert_bytes(&from_go, PLBCO_P1);
    assert_bytes(&from_rust, PLBCO_P1);
}

static void answer_with_other_members_is_read(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{\"keywrapresults\":{\"annotation\":\"eHk=\"}}",
        "{\"keywrapresults\":{\"annotation\":[120,121]}}\n",
        "{\"keywrapresults\":{\"annotation\":\"eHk=\"},\"keyunwrapresults\":{\"optsdata\":null}}",
        "{\"keyunwrapresults\":null,\"new\":[{}],\"keywrapresults\":{\"n\":1,\"annotation\":\"eHk="
        "\"}}",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct sl_error err = {0};
        SL_AUTO_DONE(sl_bytes) b = {0};
        assert_done(sl_provider_answer_parse(SL_PROVIDER_WRAP, sl_span_of(answers[i]), &b, &err));
        assert_string_equal((const char *)b.data, "xy");
    }
}

static void answer_malformed_is_refused_without_quoting_it(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "{",
        "SECRET",
        "null",
        "[]",
        "{}",
        "\"SECRET\"",
        "{\"keyunwrapresults\":null}",
        "{\"keyunwrapresults\":\"SECRET\"}",
        "{\"keyunwrapresults\":{}}",
        "{\"keyunwrapresults\":{\"optsdata\":null}}",
        "{\"keyunwrapresults\":{\"optsdata\":\"\"}}",
        "{\"keyunwrapresults\":{\"optsdata\":[]}}",
        "{\"keyunwrapresults\":{\"optsdata\":\"SECRET*=\"}}",
        "{\"keyunwrapresults\":{\"optsdata\":\"eHk\"}}",
        "{\"keyunwrapresults\":{\"optsdata\":\"eHl=\"}}",
        "{\"keyunwrapresults\":{\"optsdata\":{\"SECRET\":1}}}",
        "{\"keyunwrapresults\":{\"optsdata\":true}}",
        "{\"keyunwrapresults\":{\"optsdata\":120}}",
        "{\"keyunwrapresults\":{\"optsdata\":[256]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[-1]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[1.5]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[18446744073709551617]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[\"1\"]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[[1]]}}",
        "{\"keyunwrapresults\":{\"optsdata\":[null]}}",
        "{\"keyunwrapresults\":{\"SECRET\":1,\"SECRET\":1}}",
        "{\"keyunwrapresults\":{\"optsdata\":\"eHk=\"}} SECRET",
        "{\"keywrapresults\":{\"annotation\":\"eHk=\"}}",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct sl_error err = {0};
        struct sl_bytes b = {0};
        assert_error(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, sl_span_of(answers[i]), &b, &err),
                     EBADMSG, SL_E_FORMAT, "the key provider's answer");
        assert_null(strstr(err.msg, "SECRET"));
        assert_null(b.data);
    }
}

/* "[0,0,…,0]" of n numbers as the result, or n zero bytes as base64. */
static struct sl_bytes big_answer(size_t n, bool as_array)
{
    struct sl_bytes b = {0};
    struct sl_error err = {0};
    uint8_t *zeros = calloc(n, 1);
    SL_AUTO_FREE char *base64 = sl_base64_encode((struct sl_span){zeros, n});
    if (as_array) {
        assert_done(
            sl_provider_answer_write(SL_PROVIDER_UNWRAP, (struct sl_span){zeros, n}, &b, &err));
    } else {
        SL_AUTO_FREE char *json = sl_strf("{\"keyunwrapresults\":{\"optsdata\":\"%s\"}}", base64);
        assert_done(sl_bytes_append(&b, sl_span_of(json), 1 << 20, &err));
    }
    free(zeros);
    return b;
}

static void answer_above_its_limits_is_refused(void **state)
{
    (void)state;
    for (int as_array = 0; as_array < 2; as_array++) {
        struct sl_error err = {0};
        SL_AUTO_DONE(sl_bytes) most = big_answer(4096, as_array);
        SL_AUTO_DONE(sl_bytes) more = big_answer(4097, as_array);
        SL_AUTO_DONE(sl_bytes) much_more = big_answer(100000, as_array);
        SL_AUTO_DONE(sl_bytes) got = {0};
        struct sl_bytes none = {0};
        assert_done(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, text(&most), &got, &err));
        assert_int_equal(got.len, 4096);
        assert_error(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, text(&more), &none, &err), E2BIG,
                     SL_E_LIMIT, "'optsdata' exceeds 4096 bytes");
        assert_error(sl_provider_answer_parse(SL_PROVIDER_UNWRAP, text(&much_more), &none, &err),
                     E2BIG, SL_E_LIMIT, "'optsdata' exceeds 4096 bytes");
    }
}

static void message_too_large_or_deep_is_refused(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_bytes none = {0};
    size_t size = (1 << 20) + 1;
    SL_AUTO_FREE char *big = malloc(size + 1);
    memset(big, ' ', size);
    big[size] = 0;
    memcpy(big, "{}", 2);
    assert_error(sl_provider_answer_parse(SL_PROVIDER_WRAP, sl_span_of(big), &none, &err), E2BIG,
                 SL_E_LIMIT, "larger than 1048576 bytes");
    const char *deep = "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}";
    assert_error(sl_provider_answer_parse(SL_PROVIDER_WRAP, sl_span_of(deep), &none, &err), E2BIG,
                 SL_E_LIMIT, "nested too deeply");
}

/* ---- answering ---- */

static void answer_written_is_an_array_of_numbers(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) wrap = {0};
    SL_AUTO_DONE(sl_bytes) unwrap = {0};
    const uint8_t bytes[] = {123, 0, 255};
    struct sl_span span = {bytes, sizeof(bytes)};
    assert_done(sl_provider_answer_write(SL_PROVIDER_WRAP, span, &wrap, &err));
    assert_done(sl_provider_answer_write(SL_PROVIDER_UNWRAP, span, &unwrap, &err));
    assert_string_equal((const char *)wrap.data,
                        "{\"keywrapresults\":{\"annotation\":[123,0,255]}}");
    assert_string_equal((const char *)unwrap.data,
                        "{\"keyunwrapresults\":{\"optsdata\":[123,0,255]}}");
}

static void request_of_skopeo_is_read(void **state)
{
    (void)state;
    struct sl_error err = {0};
    SL_AUTO_DONE(sl_bytes) wrap_json = read_vector(WRAP_REQUEST);
    SL_AUTO_DONE(sl_bytes) unwrap_json = read_vector(UNWRAP_REQUEST);
    SL_AUTO_DONE(sl_provider_request) wrap = {0};
    SL_AUTO_DONE(sl_provider_request) unwrap = {0};
    assert_done(sl_provider_request_parse(text(&wrap_json), SL_PROVIDER_WRAP, &wrap, &err));
    assert_done(sl_provider_request_parse(text(&unwrap_json), SL_PROVIDER_UNWRAP, &unwrap, &err));
    assert_int_equal(wrap.op, SL_PROVIDER_WRAP);
    assert_int_equal(unwrap.op, SL_PROVIDER_UNWRAP);
    assert_bytes(&wrap.payload, PLBCO_L1);
    assert_bytes(&unwrap.payload, PACKET_P1);
    assert_string_equal(sl_provider_request_param(&wrap, "attestation-agent"), "sample=true");
    assert_string_equal(sl_provider_request_param(&unwrap, "attestation-agent"),
                        "offline_fs_kbc::null");
    assert_null(sl_provider_request_param(&unwrap, "attestation"));
}

#define UNWRAP(rest) "{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"annotation\":\"eA==\"" rest "}}"

static void request_with_absent_or_null_members_is_read(void **state)
{
    (void)state;
    static const char *const requests[] = {
        UNWRAP(""),
        UNWRAP(",\"dc\":null"),
        UNWRAP(",\"dc\":{}"),
        UNWRAP(",\"dc\":{\"Parameters\":null}"),
        UNWRAP(",\"dc\":{\"Parameters\":{\"a\":null,\"b\":[]}},\"more\":1"),
        "{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"annotation\":[120]},\"keywrapparams\":null}",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct sl_error err = {0};
        SL_AUTO_DONE(sl_provider_request) request = {0};
        assert_done(
            sl_provider_request_parse(sl_span_of(requests[i]), SL_PROVIDER_UNWRAP, &request, &err));
        assert_string_equal((const char *)request.payload.data, "x");
        assert_int_equal(request.n_params, 0);
    }
}

static void request_malformed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *message;
    } cases[] = {
        {"", "key provider request: not valid JSON"},
        {"SECRET", "key provider request: not valid JSON"},
        {"{}", "'op' must be keyunwrap here"},
        {"{\"op\":1}", "'op' must be keyunwrap here"},
        {"{\"op\":\"keywrap\",\"keyunwrapparams\":{\"annotation\":\"eA==\"}}", "'op' must be"},
        {"{\"op\":\"keyunwrap\"}", "'annotation' is neither"},
        {"{\"op\":\"keyunwrap\",\"keyunwrapparams\":null}", "'annotation' is neither"},
        {"{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"annotation\":\"\"}}", "or is empty"},
        {"{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"annotation\":\"SECRET\"}}", "is neither"},
        {UNWRAP(",\"dc\":[]"), "'dc' must be an object"},
        {UNWRAP(",\"dc\":{\"Parameters\":[]}"), "'Parameters' must be an object"},
        {UNWRAP(",\"dc\":{\"Parameters\":{\"a\":\"eA==\"}}"), "parameter a must be base64"},
        {UNWRAP(",\"dc\":{\"Parameters\":{\"a\":[1]}}"), "parameter a must be base64"},
        {UNWRAP(",\"dc\":{\"Parameters\":{\"a\":[\"SECRET\"]}}"), "parameter a must be base64"},
        {UNWRAP(",\"dc\":{\"Parameters\":{\"a\":[\"AHg=\"]}}"), "parameter a must be base64"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        struct sl_provider_request request = {0};
        assert_error(sl_provider_request_parse(sl_span_of(cases[i].json), SL_PROVIDER_UNWRAP,
                                               &request, &err),
                     EBADMSG, SL_E_FORMAT, cases[i].message);
        assert_null(strstr(err.msg, "SECRET"));
        assert_null(request.payload.data);
    }
}

static void request_with_too_many_params_is_refused(void **state)
{
    (void)state;
    struct sl_bytes json = {0};
    struct sl_error err = {0};
    struct sl_provider_request request = {0};
    const char *head = "{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"annotation\":\"eA==\","
                       "\"dc\":{\"Parameters\":{";
    assert_done(sl_bytes_append(&json, sl_span_of(head), 1 << 20, &err));
    for (int i = 0; i < 65; i++) {
        SL_AUTO_FREE char *param = sl_strf("%s\"p%d\":[\"eA==\"]", i ? "," : "", i);
        assert_done(sl_bytes_append(&json, sl_span_of(param), 1 << 20, &err));
    }
    assert_done(sl_bytes_append(&json, sl_span_of("}}}}"), 1 << 20, &err));
    assert_error(sl_provider_request_parse(text(&json), SL_PROVIDER_UNWRAP, &request, &err), E2BIG,
                 SL_E_LIMIT, "more than 64 parameters");
    sl_bytes_done(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_wrap_is_what_skopeo_sends),
        cmocka_unit_test(request_unwrap_is_what_skopeo_sends),
        cmocka_unit_test(request_without_params_has_empty_maps),
        cmocka_unit_test(request_name_is_quoted),
        cmocka_unit_test(answer_is_read_in_both_encodings),
        cmocka_unit_test(answer_with_other_members_is_read),
        cmocka_unit_test(answer_malformed_is_refused_without_quoting_it),
        cmocka_unit_test(answer_above_its_limits_is_refused),
        cmocka_unit_test(message_too_large_or_deep_is_refused),
        cmocka_unit_test(answer_written_is_an_array_of_numbers),
        cmocka_unit_test(request_of_skopeo_is_read),
        cmocka_unit_test(request_with_absent_or_null_members_is_read),
        cmocka_unit_test(request_malformed_is_refused),
        cmocka_unit_test(request_with_too_many_params_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
