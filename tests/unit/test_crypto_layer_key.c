/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/layer_crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static struct sl_layer_key test_key(void)
{
    struct sl_layer_key key = {.protocol = "jwe"};
    memcpy(key.lek, "01234567890123456789012345678912", sizeof(key.lek));
    for (size_t i = 0; i < sizeof(key.nonce); i++)
        key.nonce[i] = (uint8_t)i;
    return key;
}

static struct sl_digest test_digest(void)
{
    struct sl_digest d = {.alg = SL_SHA256};
    memset(d.bytes, 0xab, 32);
    return d;
}

static void done_leaves_only_zeros(void **state)
{
    (void)state;
    struct sl_layer_key key = test_key();
    static const uint8_t zeros[sizeof(key)];
    sl_layer_key_done(&key);
    assert_memory_equal(&key, zeros, sizeof(key));
    sl_layer_key_done(NULL);
}

/* Stored on disk: a release must not change it. Computed with Python's hmac module. */
static void check_has_the_stored_form(void **state)
{
    (void)state;
    static const char want[] = "05285f52d0071306c96ce6ee39f3c07f070e78598efae8b8b60dc3fc9edea6a8";
    struct sl_layer_key key = test_key();
    struct sl_digest blob = test_digest();
    uint8_t check[SL_KEY_CHECK_SIZE];
    char hex[2 * SL_KEY_CHECK_SIZE + 1];
    assert_int_equal(sl_layer_key_check(&key, &blob, check, NULL), 0);
    sl_hex_format((struct sl_span){check, sizeof(check)}, hex);
    assert_string_equal(hex, want);
}

static void check_depends_on_key_nonce_and_blob(void **state)
{
    (void)state;
    struct sl_layer_key key = test_key();
    struct sl_digest blob = test_digest();
    uint8_t first[SL_KEY_CHECK_SIZE], other[SL_KEY_CHECK_SIZE];
    assert_int_equal(sl_layer_key_check(&key, &blob, first, NULL), 0);

    key.lek[31] ^= 1;
    assert_int_equal(sl_layer_key_check(&key, &blob, other, NULL), 0);
    assert_memory_not_equal(first, other, sizeof(first));
    key = test_key();
    key.nonce[15] ^= 1;
    assert_int_equal(sl_layer_key_check(&key, &blob, other, NULL), 0);
    assert_memory_not_equal(first, other, sizeof(first));
    key = test_key();
    blob.bytes[31] ^= 1;
    assert_int_equal(sl_layer_key_check(&key, &blob, other, NULL), 0);
    assert_memory_not_equal(first, other, sizeof(first));
    blob = test_digest();
    blob.alg = SL_SHA512;
    assert_int_equal(sl_layer_key_check(&key, &blob, other, NULL), 0);
    assert_memory_not_equal(first, other, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_leaves_only_zeros),
        cmocka_unit_test(check_has_the_stored_form),
        cmocka_unit_test(check_depends_on_key_nonce_and_blob),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
