/* SPDX-License-Identifier: Apache-2.0 */
#include "plbco.h"

#include "key_vectors.h"
#include "sluice/key_wrap.h"

#define SYMKEY "\"symkey\":\"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MTI=\""
#define NONCE "\"cipheroptions\":{\"nonce\":\"AAECAwQFBgcICQoLDA0ODw==\"}"

static int parse(const char *text, struct sl_layer_key *ret, struct sl_error *err)
{
    return sl_plbco_parse(sl_span_of(text), ret, err);
}

static void plbco_l1_published_yields_key_and_nonce(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    struct sl_bytes text = read_vector(VECTOR("ocicrypt_l1_plbco.json"));
    assert_int_equal(text.len, 193);
    assert_ok(sl_plbco_parse(sl_bytes_span(&text), &key, NULL));
    assert_memory_equal(key.lek, "01234567890123456789012345678912", 32);
    for (uint8_t i = 0; i < 16; i++)
        assert_int_equal(key.nonce[i], i);
    sl_bytes_done(&text);
}

static void plbco_other_member_orders_and_no_digest_are_accepted(void **state)
{
    (void)state;
    struct sl_layer_key key = {0};
    assert_ok(parse("{" NONCE "," SYMKEY "}", &key, NULL));
    assert_ok(parse("{" SYMKEY ",\"digest\":null,\"more\":[1]," NONCE "}", &key, NULL));
}

static void plbco_malformed_is_refused_without_quoting_it(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } cases[] = {
        {"{" NONCE "}", "no symkey"},
        {"{" SYMKEY "}", "no nonce"},
        {"{" SYMKEY ",\"cipheroptions\":{}}", "no nonce"},
        {"{\"symkey\":\"MDEyMzQ1\"," NONCE "}", "6 bytes instead of 32"},
        {"{" SYMKEY ",\"cipheroptions\":{\"nonce\":\"AAAA\"}}", "3 bytes instead of 16"},
        {"{\"symkey\":\"*secret*\"," NONCE "}", "symkey is not base64"},
        {"{\"symkey\":*secret*}", "not valid JSON"},
        {"", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_error err = {0};
        struct sl_layer_key key = {.lek = {7}};
        assert_true(parse(cases[i].json, &key, &err) < 0);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_contains(err.msg, cases[i].text);
        assert_null(strstr(err.msg, "secret"));
        assert_int_equal(key.lek[0], 7);
    }
}

static void plbco_l1_is_written_byte_for_byte(void **state)
{
    (void)state;
    struct sl_layer_key key = expected_key(VECTOR("ocicrypt_l1_plbco.json"));
    SL_AUTO_FREE char *want = read_text(VECTOR("ocicrypt_l1_plbco.json"));
    struct sl_digest plain;
    struct sl_bytes text = {0};
    assert_ok(sl_digest_parse(
        "sha256:dff90087e2a95f1c093cf40e7be6ef4e998e21b4ea38d0b494ea2fdb2576fcfe", &plain, NULL));
    assert_ok(sl_plbco_write(&key, &plain, &text, NULL));
    assert_int_equal(text.len, 193);
    assert_string_equal((char *)text.data, want);
    sl_bytes_wipe(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plbco_l1_published_yields_key_and_nonce),
        cmocka_unit_test(plbco_other_member_orders_and_no_digest_are_accepted),
        cmocka_unit_test(plbco_l1_is_written_byte_for_byte),
        cmocka_unit_test(plbco_malformed_is_refused_without_quoting_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
