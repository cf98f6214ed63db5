/* SPDX-License-Identifier: Apache-2.0 */
#include "enc_annotations.h"

#include "key_vectors.h"

#define PUBOPTS "org.opencontainers.image.enc.pubopts"
#define KEYS "org.opencontainers.image.enc.keys."
#define L1_HMAC "Wrp1UnDl0WP2mecxNHAT9/+ivd4cR92ZgIZYpOkXuK4="
#define CIPHER "\"cipher\":\"AES_256_CTR_HMAC_SHA256\""
#define HMAC "\"hmac\":\"" L1_HMAC "\""

static char *encode(const char *text)
{
    return sl_base64_encode(sl_span_of(text));
}

/* Parses pubopts (JSON, not yet encoded) beside one wrapped key. */
static int parse_pubopts(const char *json, struct sl_error *err)
{
    SL_AUTO(sl_enc_annotations) a = NULL;
    char *value = encode(json);
    struct sl_pair pairs[] = {{(char *)PUBOPTS, value}, {(char *)KEYS "jwe", (char *)"AAAA"}};
    int r = sl_enc_annotations_parse(pairs, 2, &a, err);
    free(value);
    return r;
}

static void pubopts_l1_published_yields_hmac(void **state)
{
    (void)state;
    static const uint8_t hmac[] = {0x5a, 0xba, 0x75, 0x52, 0x70, 0xe5, 0xd1, 0x63, 0xf6, 0x99, 0xe7,
                                   0x31, 0x34, 0x70, 0x13, 0xf7, 0xff, 0xa2, 0xbd, 0xde, 0x1c, 0x47,
                                   0xdd, 0x99, 0x80, 0x86, 0x58, 0xa4, 0xe9, 0x17, 0xb8, 0xae};
    SL_AUTO(sl_enc_annotations) a = NULL;
    char *value = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    struct sl_pair pairs[] = {{(char *)PUBOPTS, value}, {(char *)KEYS "jwe", (char *)"AAAA"}};
    assert_ok(sl_enc_annotations_parse(pairs, 2, &a, NULL));
    assert_memory_equal(sl_enc_annotations_hmac(a), hmac, sizeof(hmac));
    free(value);
}

static void pubopts_lenient_forms_are_accepted(void **state)
{
    (void)state;
    assert_ok(parse_pubopts("{" CIPHER "," HMAC "}", NULL));
    assert_ok(parse_pubopts("{" CIPHER "," HMAC ",\"cipheroptions\":null}", NULL));
    assert_ok(parse_pubopts("{" CIPHER "," HMAC ",\"cipheroptions\":{\"x\":\"\"},\"y\":1}", NULL));
}

static void pubopts_malformed_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int errnum;
        enum sl_errc code;
        const char *text;
    } cases[] = {
        {"{" HMAC "}", EBADMSG, SL_E_FORMAT, "no cipher type provided"},
        {"{\"cipher\":null," HMAC "}", EBADMSG, SL_E_FORMAT, "no cipher type provided"},
        {"{\"cipher\":\"\"," HMAC "}", EBADMSG, SL_E_FORMAT, "no cipher type provided"},
        {"{\"Cipher\":\"AES_256_CTR_HMAC_SHA256\"," HMAC "}", EBADMSG, SL_E_FORMAT, "no cipher"},
        {"{\"cipher\":\"AES_256_CTR\"," HMAC "}", ENOTSUP, SL_E_UNSUPPORTED,
         "unsupported cipher type: AES_256_CTR"},
        {"{" CIPHER "}", EBADMSG, SL_E_FORMAT, "HMAC is not provided"},
        {"{" CIPHER ",\"hmac\":\"\"}", EBADMSG, SL_E_FORMAT, "HMAC is not provided"},
        {"{" CIPHER ",\"hmac\":\"AQIDBAUGBwgJAA==\"}", EBADMSG, SL_E_FORMAT, "10 bytes"},
        {"{" CIPHER ",\"hmac\":\"!\"}", EINVAL, SL_E_FORMAT, "base64"},
        {"{" CIPHER "," HMAC ",\"cipheroptions\":{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}}",
         EBADMSG, SL_E_FORMAT, "nonce"},
        {"{" CIPHER "," HMAC ",\"cipheroptions\":[]}", EBADMSG, SL_E_FORMAT, "cipheroptions"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        assert_fails(parse_pubopts(cases[i].json, &err), cases[i].errnum, err, cases[i].code);
        assert_contains(err.msg, cases[i].text);
        assert_contains(err.msg, PUBOPTS);
    }
    struct sl_error err = {0};
    assert_true(parse_pubopts("{" CIPHER "," CIPHER "," HMAC "}", &err) < 0);
    assert_int_equal(err.code, SL_E_FORMAT);
}

static void annotations_c9_absent_say_missing_key(void **state)
{
    (void)state;
    SL_AUTO(sl_enc_annotations) a = NULL;
    struct sl_error err = {0};
    struct sl_pair other = {(char *)"a.b", (char *)"c"};
    assert_fails(sl_enc_annotations_parse(&other, 1, &a, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "missing private key needed for decryption");
    assert_false(sl_enc_annotations_present(&other, 1));
    struct sl_pair jwe = {(char *)KEYS "jwe", (char *)"AAAA"};
    assert_fails(sl_enc_annotations_parse(&jwe, 1, &a, &err), EBADMSG, err, SL_E_FORMAT);
    assert_contains(err.msg, "no cipher type provided");
    assert_true(sl_enc_annotations_present(&jwe, 1));
}

static void lists_are_split_trimmed_and_ordered(void **state)
{
    (void)state;
    static const char *const want[] = {"provider.a AAAA", "provider.b BBBB", "jwe CCCC",
                                       "jwe DDDD",        "pkcs7 EEEE",      "pgp GGGG"};
    SL_AUTO(sl_enc_annotations) a = NULL;
    char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    struct sl_pair pairs[] = {
        {(char *)KEYS "pgp", (char *)"GGGG"},
        {(char *)KEYS "pkcs7", (char *)",,EEEE,"},
        {(char *)KEYS "jwe", (char *)" CCCC , \t,DDDD\n"},
        {(char *)PUBOPTS, pubopts},
        {(char *)KEYS "provider.b", (char *)"BBBB"},
        {(char *)KEYS "provider.", (char *)"XXXX"},
        {(char *)KEYS "unheard-of", (char *)"YYYY"},
        {(char *)KEYS "provider.a", (char *)"AAAA"},
    };
    assert_ok(sl_enc_annotations_parse(pairs, sizeof(pairs) / sizeof(pairs[0]), &a, NULL));
    assert_int_equal(a->n_keys, sizeof(want) / sizeof(want[0]));
    for (size_t i = 0; i < a->n_keys; i++) {
        char got[64];
        (void)snprintf(got, sizeof(got), "%s %.*s", a->keys[i].name, (int)a->keys[i].text.len,
                       (const char *)a->keys[i].text.data);
        assert_string_equal(got, want[i]);
    }
    free(pubopts);
}

static void lists_beyond_limits_are_refused(void **state)
{
    (void)state;
    char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    static const struct {
        size_t repeat;
        const char *unit;
        int errnum;
    } cases[] = {{64, "AAAA,", 0}, {65, "AAAA,", E2BIG}, {65537, "A", E2BIG}, {262145, ",", E2BIG}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO(sl_enc_annotations) a = NULL;
        struct sl_error err = {0};
        struct sl_bytes value = {0};
        for (size_t k = 0; k < cases[i].repeat; k++)
            assert_ok(sl_bytes_append(&value, sl_span_of(cases[i].unit), 1 << 20, NULL));
        struct sl_pair pairs[] = {{(char *)PUBOPTS, pubopts},
                                  {(char *)KEYS "jwe", (char *)value.data}};
        assert_int_equal(sl_enc_annotations_parse(pairs, 2, &a, &err), -cases[i].errnum);
        assert_int_equal(err.code, cases[i].errnum ? SL_E_LIMIT : SL_OK);
        sl_bytes_done(&value);
    }
    free(pubopts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pubopts_l1_published_yields_hmac),
        cmocka_unit_test(pubopts_lenient_forms_are_accepted),
        cmocka_unit_test(pubopts_malformed_is_refused),
        cmocka_unit_test(annotations_c9_absent_say_missing_key),
        cmocka_unit_test(lists_are_split_trimmed_and_ordered),
        cmocka_unit_test(lists_beyond_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
