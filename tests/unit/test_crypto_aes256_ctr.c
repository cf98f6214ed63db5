/* SPDX-License-Identifier: Apache-2.0 */
/* The AES kernels against the published vectors, and against OpenSSL over counters that carry out
 * of each of their words. */
#include "aes256_ctr.h"
#include "hex_bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <string.h>

enum { UNITS_MAX = 9, LENGTH_MAX = UNITS_MAX * SL_SHA256_BLOCK };

static void random_fill(uint8_t *data, size_t len, unsigned *seed)
{
    for (size_t i = 0; i < len; i++) {
        *seed = *seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(*seed >> 24);
    }
}

static void copy_hex(uint8_t *ret, size_t len, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) bytes = bytes_of_hex(hex);
    assert_int_equal(bytes.len, len);
    memcpy(ret, bytes.data, len);
}

static struct sl_aes256_ctr ctr_of_hex(const char *key_hex, const char *nonce_hex)
{
    struct sl_aes256_ctr c;
    uint8_t key[SL_AES256_KEY_SIZE], nonce[SL_AES_BLOCK];
    copy_hex(key, sizeof(key), key_hex);
    copy_hex(nonce, sizeof(nonce), nonce_hex);
    sl_aes256_ctr_init(&c, key, nonce);
    return c;
}

/* FIPS 197, A.3. */
static void key_expansion_gives_published_round_keys(void **state)
{
    (void)state;
    static const char key[] = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    static const struct {
        size_t i;
        const char *hex;
    } want[] = {
        {0, "603deb1015ca71be2b73aef0857d7781"},  {1, "1f352c073b6108d72d9810a30914dff4"},
        {2, "9ba354118e6925afa51a8b5f2067fcde"},  {3, "a8b09c1a93d194cdbe49846eb75d5b9a"},
        {14, "fe4890d1e6188d0b046df344706c631e"},
    };
    struct sl_aes256_ctr c = ctr_of_hex(key, "00000000000000000000000000000000");
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        uint8_t round_key[SL_AES_BLOCK];
        copy_hex(round_key, sizeof(round_key), want[i].hex);
        assert_memory_equal(c.round_keys[want[i].i], round_key, SL_AES_BLOCK);
    }
}

/* FIPS 197, C.3: key stream is the cipher of the counter block. */
static void keystream_is_published_cipher_of_its_counter(void **state)
{
    (void)state;
    struct sl_aes256_ctr c =
        ctr_of_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                   "00112233445566778899aabbccddeeff");
    uint8_t stream[SL_SHA256_BLOCK], want[SL_AES_BLOCK];
    copy_hex(want, sizeof(want), "8ea2b7ca516745bfeafc49904b496089");
    sl_aes256_ctr_keystream(&c, stream);
    assert_memory_equal(stream, want, sizeof(want));
}

static const char text_38a[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                               "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const char cipher_38a[] = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
                                 "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6";

/* SP 800-38A, F.5.5 and F.5.6. */
static void both_ways_meet_published_ctr_vectors(void **state)
{
    (void)state;
    static const char key[] = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    static const char nonce[] = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
    uint8_t data[SL_SHA256_BLOCK], text[SL_SHA256_BLOCK], cipher[SL_SHA256_BLOCK];
    uint32_t first[8] = {0}, second[8] = {0};
    copy_hex(text, sizeof(text), text_38a);
    copy_hex(cipher, sizeof(cipher), cipher_38a);

    memcpy(data, cipher, sizeof(data));
    struct sl_aes256_ctr c = ctr_of_hex(key, nonce);
    sl_aes256_ctr_decrypt_pair(&c, first, second, data, 1);
    assert_memory_equal(data, text, sizeof(data));

    c = ctr_of_hex(key, nonce);
    sl_aes256_ctr_encrypt_pair(&c, first, second, data, 1);
    assert_memory_equal(data, cipher, sizeof(data));
}

static void openssl_ctr(const uint8_t *key, const uint8_t *nonce, const uint8_t *data, uint8_t *ret,
                        size_t len)
{
    int n;
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex2(ctr, EVP_aes_256_ctr(), key, nonce, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctr, ret, &n, data, (int)len), 1);
    EVP_CIPHER_CTX_free(ctr);
}

typedef void crossing(struct sl_aes256_ctr *c, uint32_t first[8], uint32_t second[8], uint8_t *data,
                      size_t n_units);

/* The states, too, and the counter: the second half is a call of its own. */
static void check_way(crossing *way, const uint8_t nonce[SL_AES_BLOCK], size_t n_units,
                      unsigned *seed)
{
    uint8_t key[SL_AES256_KEY_SIZE], buffer[LENGTH_MAX + 1], want[LENGTH_MAX];
    uint32_t first[8], second[8], want_first[8], want_second[8];
    size_t len = n_units * SL_SHA256_BLOCK, half = n_units / 2;
    uint8_t *data = buffer + (n_units + nonce[SL_AES_BLOCK - 1]) % 2;
    struct sl_aes256_ctr c;
    random_fill(key, sizeof(key), seed);
    random_fill(data, len, seed);
    random_fill((uint8_t *)first, sizeof(first), seed);
    random_fill((uint8_t *)second, sizeof(second), seed);
    memcpy(want_first, first, sizeof(first));
    memcpy(want_second, second, sizeof(second));
    openssl_ctr(key, nonce, data, want, len);
    sl_sha256_pair_blocks(want_first, want_second, way == sl_aes256_ctr_decrypt_pair ? data : want,
                          n_units);

    sl_aes256_ctr_init(&c, key, nonce);
    if (half)
        way(&c, first, second, data, half);
    way(&c, first, second, data + half * SL_SHA256_BLOCK, n_units - half);
    assert_memory_equal(data, want, len);
    assert_memory_equal(first, want_first, sizeof(first));
    assert_memory_equal(second, want_second, sizeof(second));
}

/* From just below the carry out of the n-th byte up, for each n, and from random counters. */
static void any_counter_equals_openssl(void **state)
{
    (void)state;
    unsigned seed = 5;
    for (size_t n = 0; n <= SL_AES_BLOCK; n++)
        for (unsigned below = 0; below < 4 * UNITS_MAX; below++) {
            uint8_t nonce[SL_AES_BLOCK];
            random_fill(nonce, sizeof(nonce), &seed);
            memset(nonce + SL_AES_BLOCK - n, 0xff, n);
            if (n)
                nonce[SL_AES_BLOCK - 1] = (uint8_t)(0xff - below);
            check_way(sl_aes256_ctr_decrypt_pair, nonce, 1 + below % UNITS_MAX, &seed);
            check_way(sl_aes256_ctr_encrypt_pair, nonce, 1 + below % UNITS_MAX, &seed);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_expansion_gives_published_round_keys),
        cmocka_unit_test(keystream_is_published_cipher_of_its_counter),
        cmocka_unit_test(both_ways_meet_published_ctr_vectors),
        cmocka_unit_test(any_counter_equals_openssl),
    };
    if (!sl_aes256_ctr_is_supported()) {
        print_message("this processor has no AES and SHA extensions\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
