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

static void annotations_absent_say_missing_key(void **state)
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

/* Element i of annotations whose values are given in base64. */
static struct sl_wrapped_key_info info_of(const struct sl_pair *keys, size_t n, size_t i)
{
    SL_AUTO(sl_enc_annotations) a = NULL;
    SL_AUTO_FREE char *pubopts = read_text(VECTOR("ocicrypt_l1_pubopts.b64"));
    struct sl_pair pairs[8] = {{(char *)PUBOPTS, pubopts}};
    struct sl_wrapped_key_info info;
    memcpy(pairs + 1, keys, n * sizeof(*keys));
    assert_ok(sl_enc_annotations_parse(pairs, n + 1, &a, NULL));
    assert_string_equal(sl_enc_annotations_cipher(a), "AES_256_CTR_HMAC_SHA256");
    assert_int_equal(sl_enc_annotations_info(a, a->n_keys, &info, NULL), 0);
    assert_int_equal(sl_enc_annotations_info(a, i, &info, NULL), 1);
    if (info.provider) { /* outlives a only here */
        static char name[64];
        (void)snprintf(name, sizeof(name), "%s", info.provider);
        info.provider = name;
    }
    return info;
}

static char *base64_of(const char *vector)
{
    struct sl_bytes b = read_vector(vector);
    char *text = sl_base64_encode(sl_bytes_span(&b));
    sl_bytes_done(&b);
    return text;
}

static void info_tells_what_anybody_can_see(void **state)
{
    (void)state;
#define PKCS11 "{\"version\":0,\"recipients\":[{\"version\":0},{\"version\":0}]}"
    static const struct {
        const char *name, *vector, *protocol, *provider, *kid, *wrap_type;
        size_t n_recipients;
    } cases[] = {
        {"provider.attestation-agent", VECTOR("coco_packet_p1_v1.json"), "provider",
         "attestation-agent", "kbs:///default/key/1", "A256GCM", 0},
        {"provider.x", VECTOR("coco_packet_a256ctr_l1.json"), "provider", "x",
         "kbs:///default/test-key/1", "A256CTR", 0},
        {"jwe", VECTOR("ocicrypt_jwe_flattened_rsa_oaep.json"), "jwe", NULL, "", "RSA-OAEP", 1},
        {"jwe", VECTOR("ocicrypt_jwe_general_rsa_and_p521.json"), "jwe", NULL, "", "RSA-OAEP", 2},
        {"pkcs7", VECTOR("ocicrypt_pkcs7_smallstep_form.der"), "pkcs7", NULL, "", "", 1},
        {"pkcs11", NULL, "pkcs11", NULL, "", "", 2},
        {"pgp", VECTOR("ocicrypt_l1_plbco.json"), "pgp", NULL, "", "", 0},
        {"provider.opaque", VECTOR("ocicrypt_pkcs7_smallstep_form.der"), "provider", "opaque", "",
         "", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *name = sl_strf(KEYS "%s", cases[i].name);
        SL_AUTO_FREE char *value =
            cases[i].vector ? base64_of(cases[i].vector) : sl_base64_encode(sl_span_of(PKCS11));
        struct sl_pair pair = {name, value};
        struct sl_wrapped_key_info info = info_of(&pair, 1, 0);
        assert_null(info.malformed);
        assert_string_equal(info.protocol, cases[i].protocol);
        assert_string_equal(info.provider ?: "-", cases[i].provider ?: "-");
        assert_string_equal(info.kid, cases[i].kid);
        assert_string_equal(info.wrap_type, cases[i].wrap_type);
        assert_int_equal(info.n_recipients, cases[i].n_recipients);
        assert_int_equal(info.index, 0);
    }
}

static void info_tells_of_malformed_elements_beside_good_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *why;
    } cases[] = {
        {"jwe", "***", "not base64"},
        {"jwe", "e30=", "not a JWE"},
        {"pkcs7", "AAAA", "not a PKCS7 message of a supported kind"},
        {"pkcs11", "e30=", "not a PKCS11 blob"},
        {"provider.attestation-agent", "e30=", "not a CoCo packet"},
        {"provider.other", "!", "not base64"},
    };
    SL_AUTO_FREE char *good = base64_of(VECTOR("ocicrypt_jwe_flattened_rsa_oaep.json"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_FREE char *name = sl_strf(KEYS "%s", cases[i].name);
        SL_AUTO_FREE char *list = sl_strf("%s,%s", cases[i].text, good);
        struct sl_pair pair = {name, list};
        assert_string_equal(info_of(&pair, 1, 0).malformed, cases[i].why);
        struct sl_wrapped_key_info second = info_of(&pair, 1, 1);
        assert_int_equal(second.index, 1);
        if (strcmp(cases[i].name, "jwe") == 0)
            assert_null(second.malformed);
    }
}

/* Half a key id would be another one. */
static void info_shows_no_name_that_is_too_long(void **state)
{
    (void)state;
    for (int len = 1024; len <= 1025; len++) {
        SL_AUTO_FREE char *json = sl_strf("{\"kid\":\"%0*d\",\"wrapped_data\":\"AAAA\",\"iv\":"
                                          "\"AAAA\",\"wrap_type\":\"A256GCM\"}",
                                          len, 7);
        SL_AUTO_FREE char *value = sl_base64_encode(sl_span_of(json));
        struct sl_pair pair = {(char *)KEYS "provider.attestation-agent", value};
        struct sl_wrapped_key_info info = info_of(&pair, 1, 0);
        assert_int_equal(strlen(info.kid), len == 1024 ? 1024 : 0);
        assert_string_equal(info.malformed ?: "-", len == 1024 ? "-" : "a name in it is too long");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pubopts_l1_published_yields_hmac),
        cmocka_unit_test(pubopts_lenient_forms_are_accepted),
        cmocka_unit_test(pubopts_malformed_is_refused),
        cmocka_unit_test(annotations_absent_say_missing_key),
        cmocka_unit_test(lists_are_split_trimmed_and_ordered),
        cmocka_unit_test(lists_beyond_limits_are_refused),
        cmocka_unit_test(info_tells_what_anybody_can_see),
        cmocka_unit_test(info_tells_of_malformed_elements_beside_good_ones),
        cmocka_unit_test(info_shows_no_name_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
