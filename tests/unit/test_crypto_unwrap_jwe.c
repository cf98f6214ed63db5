/* SPDX-License-Identifier: Apache-2.0 */
#include "jwe_message.h"
#include "key_file.h"
#include "key_ring.h"

#include "key_vectors.h"
#include "unwrap_element.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#define RSA_KEY VECTOR("ocicrypt_rsa2048_pkcs1.der")
#define OTHER_RSA_KEY VECTOR("ocicrypt_rsa2048_pkcs7_pkcs1.der")
#define P521_KEY VECTOR("ocicrypt_p521_sec1.der")
#define J1 VECTOR("ocicrypt_jwe_flattened_rsa_oaep.json")
#define J2 VECTOR("ocicrypt_jwe_general_rsa_and_p521.json")

static int unwrap(const char *text, const char *key1, const char *key2, struct sl_layer_key *ret,
                  struct sl_error *err)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    assert_ok(sl_key_ring_new(&ring, NULL));
    if (key1)
        assert_ok(sl_key_ring_add_spec(ring, key1, NULL));
    if (key2)
        assert_ok(sl_key_ring_add_spec(ring, key2, NULL));
    return unwrap_element(sl_unwrap_jwe, ring, sl_span_of(text), ret, err);
}

static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    assert_non_null(at);
    return sl_strf("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* The published chain to its end: key, MAC and plaintext. */
static void jwe_flattened_published_opens_and_decrypts_its_blob(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    char *text = read_text(J1);
    assert_ok(unwrap(text, RSA_KEY, NULL, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plbco.json"));

    struct sl_bytes blob = read_vector(VECTOR("ocicrypt_jwe_flattened_rsa_oaep_blob.bin"));
    struct sl_bytes want = read_vector(VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plain.tar.gz"));
    uint8_t mac[32];
    unsigned mac_len = sizeof(mac);
    assert_non_null(HMAC(EVP_sha256(), key.lek, 32, blob.data, blob.len, mac, &mac_len));
    struct sl_bytes hmac = {0};
    assert_ok(
        sl_base64_decode(sl_span_of("gdQMkiQd7KJIYGW+pr8GKInWxE30ly9DD/389odvWaE="), &hmac, NULL));
    assert_memory_equal(mac, hmac.data, sizeof(mac));
    sl_bytes_done(&hmac);
    uint8_t plain[256];
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_ctr(), NULL, key.lek, key.nonce), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, plain, &len, blob.data, (int)blob.len), 1);
    EVP_CIPHER_CTX_free(ctx);
    assert_int_equal(len, want.len);
    assert_memory_equal(plain, want.data, want.len);
    sl_bytes_done(&blob);
    sl_bytes_done(&want);
    free(text);
}

static void jwe_general_opens_for_each_recipient_and_ignores_the_stray_key(void **state)
{
    (void)state;
    char *text = read_text(J2);
    static const char *const rings[][2] = {
        {RSA_KEY, NULL}, {P521_KEY, NULL}, {OTHER_RSA_KEY, P521_KEY}, {OTHER_RSA_KEY, RSA_KEY}};
    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++) {
        struct sl_layer_key key = {0};
        assert_ok(unwrap(text, rings[i][0], rings[i][1], &key, NULL));
        assert_same_key(&key, VECTOR("ocicrypt_jwe_general_rsa_and_p521_plbco.json"));
    }
    free(text);
}

static void jwe_compact_and_blanks_are_read(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    char *json = read_text(J1);
    char part[5][1024];
    assert_int_equal(
        sscanf(json,
               "{\"protected\":\"%1023[^\"]\",\"encrypted_key\":\"%1023[^\"]\","
               "\"iv\":\"%1023[^\"]\",\"ciphertext\":\"%1023[^\"]\",\"tag\":\"%1023[^\"]",
               part[0], part[1], part[2], part[3], part[4]),
        5);
    char *compact = sl_strf(" %s.%s\n.%s.%s.%s\n", part[0], part[1], part[2], part[3], part[4]);
    assert_ok(unwrap(compact, RSA_KEY, NULL, &key, NULL));
    assert_same_key(&key, VECTOR("ocicrypt_jwe_flattened_rsa_oaep_plbco.json"));
    char *dots = sl_strf("%s.%s", compact, "AA");
    struct sl_error err = {0};
    assert_fails(unwrap(dots, RSA_KEY, NULL, &key, &err), EBADMSG, err, SL_E_FORMAT);
    char *blanks = replace(json, "\"iv\":\"P", "\r\n \"iv\": \"P\n");
    assert_ok(unwrap(blanks, RSA_KEY, NULL, &key, NULL));
    free(blanks);
    free(dots);
    free(compact);
    free(json);
}

static void jwe_changed_or_wrong_key_fails_with_one_text(void **state)
{
    (void)state;
    static const char *const changes[][2] = {
        {"\"iv\":\"P", "\"iv\":\"Q"},
        {"\"ciphertext\":\"X", "\"ciphertext\":\"Y"},
        {"\"tag\":\"N", "\"tag\":\"O"},
        {"\"encrypted_key\":\"gv", "\"encrypted_key\":\"gw"},
        /* The same header with a blank: only the bytes as received are authentic. */
        {"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ",
         "eyJhbGciOiJSU0EtT0FFUCIsICJlbmMiOiJBMjU2R0NNIn0"},
    };
    char *text = read_text(J1);
    struct sl_error first = {0};
    struct sl_layer_key key = {0};
    assert_fails(unwrap(text, OTHER_RSA_KEY, NULL, &key, &first), EBADMSG, first, SL_E_AUTH);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct sl_error err = {0};
        char *changed = replace(text, changes[i][0], changes[i][1]);
        assert_fails(unwrap(changed, RSA_KEY, NULL, &key, &err), EBADMSG, err, SL_E_AUTH);
        assert_string_equal(err.msg, first.msg);
        free(changed);
    }
    free(text);
}

static void jwe_without_fitting_key_says_so(void **state)
{
    (void)state;
    struct sl_error err = {0};
    struct sl_layer_key key = {0};
    char *text = read_text(J1);
    assert_fails(unwrap(text, NULL, NULL, &key, &err), ENOKEY, err, SL_E_AUTH);
    assert_contains(err.msg, "missing private key needed for decryption");
    assert_fails(unwrap(text, P521_KEY, NULL, &key, &err), ENOKEY, err, SL_E_AUTH);
    free(text);
}

/* Flattened, with this protected header (JSON) and these members beside it. */
static int unwrap_header(const char *header, const char *more, struct sl_error *err)
{
    struct sl_layer_key key = {0};
    char *b64 = sl_base64_encode(sl_span_of(header));
    for (char *p = b64; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
    char *text =
        sl_strf("{\"protected\":\"%s\",%s\"iv\":\"AAAAAAAAAAAAAAAA\",\"ciphertext\":\"AA\","
                "\"tag\":\"AAAAAAAAAAAAAAAAAAAAAA\"}",
                b64, more);
    int r = unwrap(text, RSA_KEY, P521_KEY, &key, err);
    free(text);
    free(b64);
    return r;
}

static void jwe_headers_not_supported_are_refused(void **state)
{
    (void)state;
#define ALG "\"alg\":\"RSA-OAEP\""
#define ENC "\"enc\":\"A256GCM\""
#define KEY "\"encrypted_key\":\"AAAA\","
    static const struct {
        const char *header, *more;
        int errnum;
        enum sl_errc code;
        const char *text;
    } cases[] = {
        {"{" ALG "," ENC ",\"crit\":[\"exp\"]}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "crit"},
        {"{" ALG "," ENC ",\"zip\":\"DEF\"}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "zip"},
        {"{" ALG "," ENC "}", "\"header\":{\"zip\":\"DEF\"}," KEY, ENOTSUP, SL_E_UNSUPPORTED,
         "zip"},
        {"{" ALG "," ENC "}", "\"unprotected\":{\"crit\":[]}," KEY, ENOTSUP, SL_E_UNSUPPORTED,
         "crit"},
        {"{\"alg\":\"dir\"," ENC "}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "alg dir"},
        {"{\"alg\":\"RSA1_5\"," ENC "}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "alg RSA1_5"},
        {"{" ENC "}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "alg (none)"},
        {"{" ALG ",\"enc\":\"A256CTR\"}", KEY, ENOTSUP, SL_E_UNSUPPORTED, "enc A256CTR"},
        {"{" ALG "," ENC "}", "\"encrypted_key\":\"\",", EBADMSG, SL_E_FORMAT, "encrypted_key"},
        {"{" ALG "," ENC "}", "", EBADMSG, SL_E_FORMAT, "encrypted_key"},
        {"{" ALG "," ENC "}", "\"recipients\":[],", EBADMSG, SL_E_FORMAT, "recipients"},
        {"[]", KEY, ENOTSUP, SL_E_UNSUPPORTED, "alg"},
        {"{", KEY, EINVAL, SL_E_FORMAT, "JWE protected header"},
        {"{\"alg\":\"ECDH-ES+A256KW\"," ENC "}", KEY, EBADMSG, SL_E_FORMAT, "epk"},
        /* y of the epk in J2, one bit off the curve */
        {"{\"alg\":\"ECDH-ES+A256KW\"," ENC ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":"
         "\"ATkRTLlBAvaOO6nj2rbZSUt7ZHSeE6Ee3SOwBTjYVmtWLIrXl0X4-"
         "UyB1vxgJTsbMiX5cRFM4IlezHdFJhqMjxwu"
         "\",\"y\":"
         "\"AD_lm3m4RovSfOIj_"
         "sTAjznqx6A0tCgE8iSQ2bRhHnb0gXxZng0mwz8ugcLLQtg012SWyxMyCOVL8TUOMbVIubH4"
         "\"}}",
         KEY, EBADMSG, SL_E_FORMAT, "JWK: not a valid key"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        int r = unwrap_header(cases[i].header, cases[i].more, &err);
        assert_contains(err.msg, cases[i].text);
        assert_fails(r, cases[i].errnum, err, cases[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jwe_flattened_published_opens_and_decrypts_its_blob),
        cmocka_unit_test(jwe_general_opens_for_each_recipient_and_ignores_the_stray_key),
        cmocka_unit_test(jwe_compact_and_blanks_are_read),
        cmocka_unit_test(jwe_changed_or_wrong_key_fails_with_one_text),
        cmocka_unit_test(jwe_without_fitting_key_says_so),
        cmocka_unit_test(jwe_headers_not_supported_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
