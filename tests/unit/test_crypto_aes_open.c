/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors: keys and inputs of guest-components' crypto crate, and RFC 3394 section 4. */
#include "aes_open.h"

#include "key_vectors.h"

static struct sl_bytes unhex(const char *hex)
{
    struct sl_bytes b = {0};
    for (; *hex; hex += 2) {
        char digits[3] = {hex[0], hex[1], 0};
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
        assert_ok(sl_bytes_append(&b, (struct sl_span){&byte, 1}, 1 << 16, NULL));
    }
    return b;
}

static void gcm_published_packets_open(void **state)
{
    (void)state;
    static const struct {
        const char *key, *iv, *sealed, *plain;
    } cases[] = {
        {"0123456789abcdefghijklmnopqrstuv", "unique nonce",
         "18da949556c674288a58da8ffa7b9d40fdbd4e6fbd5ec1461c42", "plaintext1"},
        {"hijklmnopqrstuv0123456789abcdefg", "unique2nonce",
         "6b292b3094295e447f1c9932fc0e330dfe07d3178ac86c96bea9", "plaintext2"},
        {"passphrasewhichneedstobe32bytes!", "unique nonce",
         "414444731b1e8910c7b683abe138eb5af9b4249c607219c4552c045253", "symmetric_key"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_bytes sealed = unhex(cases[i].sealed);
        struct sl_bytes out = {0};
        assert_ok(sl_aes_gcm_open_appended(sl_span_of(cases[i].key), sl_span_of(cases[i].iv),
                                           sl_bytes_span(&sealed), &out, NULL));
        assert_string_equal((char *)out.data, cases[i].plain);
        sl_bytes_done(&out);
        for (size_t k = 0; k < sealed.len; k++) {
            struct sl_error err = {0};
            sealed.data[k] ^= 1;
            assert_fails(sl_aes_gcm_open_appended(sl_span_of(cases[i].key), sl_span_of(cases[i].iv),
                                                  sl_bytes_span(&sealed), &out, &err),
                         EBADMSG, err, SL_E_AUTH);
            sealed.data[k] ^= 1;
        }
        assert_null(out.data);
        sl_bytes_done(&sealed);
    }
}

static void gcm_with_additional_data_opens(void **state)
{
    (void)state;
    struct sl_bytes sealed = unhex("18da949556c674288a584196117d93e60758233c94712dfba420");
    struct sl_bytes out = {0};
    assert_ok(sl_aes_gcm_open(sl_span_of("0123456789abcdefghijklmnopqrstuv"),
                              sl_span_of("unique nonce"), sl_span_of("test-aad"),
                              (struct sl_span){sealed.data, 10},
                              (struct sl_span){sealed.data + 10, 16}, &out, NULL));
    assert_string_equal((char *)out.data, "plaintext1");
    sl_bytes_done(&out);
    sl_bytes_done(&sealed);
}

static void gcm_of_wrong_sizes_fails_with_format(void **state)
{
    (void)state;
    struct sl_bytes out = {0};
    struct sl_error err = {0};
    struct sl_span text = sl_span_of("0123456789abcdef0123");
    struct sl_span key = sl_span_of("0123456789abcdefghijklmnopqrstuv");
    assert_fails(sl_aes_gcm_open_appended(key, sl_span_of("16bytes ivlength"), text, &out, &err),
                 EBADMSG, err, SL_E_FORMAT);
    assert_fails(
        sl_aes_gcm_open_appended(sl_span_of("short"), sl_span_of("unique nonce"), text, &out, &err),
        EBADMSG, err, SL_E_FORMAT);
    assert_fails(
        sl_aes_gcm_open_appended(key, sl_span_of("unique nonce"), sl_span_of("short"), &out, &err),
        EBADMSG, err, SL_E_FORMAT);
}

static void ctr_published_texts_open(void **state)
{
    (void)state;
    static const struct {
        const char *key, *iv, *sealed, *plain;
    } cases[] = {
        {"0123456789abcdefghijklmnopqrstuv", "16bytes ivlength", "d5378d404823b69fb20e",
         "plaintext1"},
        {"hijklmnopqrstuv0123456789abcdefg", "16bytes ivlength", "162048ee81f3970cb2c4",
         "plaintext2"},
        {"passphrasewhichneedstobe32bytes!", "ivmustbe16bytes!", "5be9f0", "bar"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sl_bytes sealed = unhex(cases[i].sealed);
        struct sl_bytes out = {0};
        assert_ok(sl_aes_ctr_open(sl_span_of(cases[i].key), sl_span_of(cases[i].iv),
                                  sl_bytes_span(&sealed), &out, NULL));
        assert_string_equal((char *)out.data, cases[i].plain);
        sl_bytes_done(&out);
        sl_bytes_done(&sealed);
    }
}

static void key_wrap_rfc3394_opens_and_short_is_refused(void **state)
{
    (void)state;
    struct sl_bytes kek = unhex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F");
    struct sl_bytes wrapped = unhex("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326"
                                    "CBC7F0E71A99F43BFB988B9B7A02DD21");
    struct sl_bytes want =
        unhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F");
    struct sl_bytes out = {0};
    struct sl_error err = {0};
    assert_ok(sl_aes_unwrap_key(sl_bytes_span(&kek), sl_bytes_span(&wrapped), &out, NULL));
    assert_int_equal(out.len, want.len);
    assert_memory_equal(out.data, want.data, want.len);
    sl_bytes_done(&out);
    const size_t bad[] = {0, 8, 16, 23, 39};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_fails(sl_aes_unwrap_key(sl_bytes_span(&kek), (struct sl_span){wrapped.data, bad[i]},
                                       &out, &err),
                     EBADMSG, err, SL_E_FORMAT);
    wrapped.data[3] ^= 1;
    assert_fails(sl_aes_unwrap_key(sl_bytes_span(&kek), sl_bytes_span(&wrapped), &out, &err),
                 EBADMSG, err, SL_E_AUTH);
    sl_bytes_done(&kek);
    sl_bytes_done(&wrapped);
    sl_bytes_done(&want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_published_packets_open),
        cmocka_unit_test(gcm_with_additional_data_opens),
        cmocka_unit_test(gcm_of_wrong_sizes_fails_with_format),
        cmocka_unit_test(ctr_published_texts_open),
        cmocka_unit_test(key_wrap_rfc3394_opens_and_short_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
