/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: keys and inputs of guest-components' crypto crate, and RFC 3394 section 4. */
#include "aes_seal.h"

#include "hex_bytes.h"
#include "key_vectors.h"

static void assert_hex(struct sl_bytes *got, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) want = bytes_of_hex(hex);
    assert_int_equal(got->len, want.len);
    assert_memory_equal(got->data, want.data, want.len);
    sl_bytes_done(got);
}

static void gcm_published_outputs_are_met(void **state)
{
    (void)state;
    static const struct {
        const char *key, *iv, *aad, *plain, *sealed;
    } cases[] = {
        {"0123456789abcdefghijklmnopqrstuv", "unique nonce", "", "plaintext1",
         "18da949556c674288a58da8ffa7b9d40fdbd4e6fbd5ec1461c42"},
        {"hijklmnopqrstuv0123456789abcdefg", "unique2nonce", "", "plaintext2",
         "6b292b3094295e447f1c9932fc0e330dfe07d3178ac86c96bea9"},
        {"0123456789abcdefghijklmnopqrstuv", "unique nonce", "test-aad", "plaintext1",
         "18da949556c674288a584196117d93e60758233c94712dfba420"},
        {"hijklmnopqrstuv0123456789abcdefg", "unique2nonce", "test-aad", "plaintext2",
         "6b292b3094295e447f1cdc66b9313377be7d9299923661f9a98f"},
        {"passphrasewhichneedstobe32bytes!", "unique nonce", "", "symmetric_key",
         "414444731b1e8910c7b683abe138eb5af9b4249c607219c4552c045253"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_bytes out = {0};
        assert_ok(sl_aes_gcm_seal(sl_span_of(cases[i].key), sl_span_of(cases[i].iv),
                                  sl_span_of(cases[i].aad), sl_span_of(cases[i].plain), &out,
                                  NULL));
        assert_hex(&out, cases[i].sealed);
    }
}

static void ctr_published_outputs_are_met(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"0123456789abcdefghijklmnopqrstuv", "plaintext1", "d5378d404823b69fb20e"},
        {"hijklmnopqrstuv0123456789abcdefg", "plaintext2", "162048ee81f3970cb2c4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_bytes out = {0};
        assert_ok(sl_aes_ctr_seal(sl_span_of(cases[i][0]), sl_span_of("16bytes ivlength"),
                                  sl_span_of(cases[i][1]), &out, NULL));
        assert_hex(&out, cases[i][2]);
    }
}

static void key_wrap_rfc3394_vectors_are_met(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"000102030405060708090A0B0C0D0E0F", "00112233445566778899AABBCCDDEEFF",
         "1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5"},
        {"000102030405060708090A0B0C0D0E0F1011121314151617", "00112233445566778899AABBCCDDEEFF",
         "96778B25AE6CA435F92B5B97C050AED2468AB8A17AD84E5D"},
        {"000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
         "00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F",
         "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SL_AUTO_DONE(sl_bytes) kek = bytes_of_hex(cases[i][0]);
        SL_AUTO_DONE(sl_bytes) key = bytes_of_hex(cases[i][1]);
        struct sl_bytes out = {0};
        assert_ok(sl_aes_wrap_key(sl_bytes_span(&kek), sl_bytes_span(&key), &out, NULL));
        assert_hex(&out, cases[i][2]);
    }
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    static const struct sl_span text = {zeros, 10};
    struct sl_bytes out = {0};
    for (size_t n = 0; n <= sizeof(zeros); n++) {
        struct sl_error err = {0};
        const struct sl_span sized = {zeros, n};
        const struct sl_span iv = {zeros, 12};
        if (n != 16 && n != 32)
            assert_fails(sl_aes_gcm_seal(sized, iv, text, text, &out, &err), EINVAL, err,
                         SL_E_FORMAT);
        if (n != 12)
            assert_fails(
                sl_aes_gcm_seal((struct sl_span){zeros, 32}, sized, text, text, &out, &err), EINVAL,
                err, SL_E_FORMAT);
        if (n != 16)
            assert_fails(sl_aes_ctr_seal((struct sl_span){zeros, 32}, sized, text, &out, &err),
                         EINVAL, err, SL_E_FORMAT);
        if (n < 16 || n % 8)
            assert_fails(sl_aes_wrap_key((struct sl_span){zeros, 32}, sized, &out, &err), EINVAL,
                         err, SL_E_FORMAT);
    }
    assert_null(out.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_published_outputs_are_met),
        cmocka_unit_test(ctr_published_outputs_are_met),
        cmocka_unit_test(key_wrap_rfc3394_vectors_are_met),
        cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
