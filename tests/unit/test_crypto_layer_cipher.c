/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of the layer cipher, both ways, against OpenSSL's one-shot functions: whole, byte by
 * byte, at random cuts, lengths and addresses. */
#include "aes256_ctr.h"
#include "layer_cipher.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_MAX = 3000, LONG = 100 * 1024 + 77 };

static enum sl_layer_cipher_kind kinds[4] = {SL_CIPHER_BEST, SL_CIPHER_OPENSSL};
static size_t n_kinds = 2;

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint8_t *data, size_t len, unsigned *seed)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)next_random(seed);
}

/* A layer and what OpenSSL says of it. */
struct layer {
    struct sl_layer_key key;
    size_t len;
    uint8_t plain[LONG], cipher[LONG];
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
};

static void make_layer(struct layer *l, size_t len, enum sl_digest_alg alg, unsigned *seed)
{
    const EVP_MD *md = alg == SL_SHA256 ? EVP_sha256() : EVP_sha512();
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    int n;
    l->len = len;
    l->digest = (struct sl_digest){.alg = alg};
    fill(l->key.lek, SL_LEK_SIZE, seed);
    fill(l->key.nonce, SL_NONCE_SIZE, seed);
    fill(l->plain, len, seed);
    assert_int_equal(EVP_EncryptInit_ex2(ctr, EVP_aes_256_ctr(), l->key.lek, l->key.nonce, NULL),
                     1);
    assert_int_equal(EVP_EncryptUpdate(ctr, l->cipher, &n, l->plain, (int)len), 1);
    EVP_CIPHER_CTX_free(ctr);
    assert_int_equal(EVP_Digest(l->cipher, len, l->digest.bytes, NULL, md, NULL), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, l->key.lek, SL_LEK_SIZE,
                              l->cipher, len, l->mac, sizeof(l->mac), NULL));
}

typedef int crossing(struct sl_layer_cipher *c, uint8_t *data, size_t len, struct sl_error *err);

/* max_cut 0: in one piece. Otherwise some pieces are empty. */
static void check_way(enum sl_layer_cipher_kind kind, const struct layer *l, crossing *way,
                      size_t max_cut, unsigned seed)
{
    static uint8_t buffer[LONG + 64];
    const bool is_decrypting = way == sl_layer_cipher_decrypt;
    uint8_t *data = buffer + next_random(&seed) % 64;
    memcpy(data, is_decrypting ? l->cipher : l->plain, l->len);

    SL_AUTO(sl_layer_cipher) c = NULL;
    assert_int_equal(sl_layer_cipher_new(kind, l->digest.alg, &l->key, &c, NULL), 0);
    for (size_t at = 0, n; at < l->len; at += n) {
        n = max_cut > 1 ? next_random(&seed) % (max_cut + 1) : max_cut ? 1 : l->len;
        if (n > l->len - at)
            n = l->len - at;
        assert_int_equal(way(c, data + at, n, NULL), 0);
    }
    struct sl_digest digest = {0};
    uint8_t mac[SL_HMAC_SIZE];
    assert_int_equal(sl_layer_cipher_final(c, &digest, mac, NULL), 0);
    assert_memory_equal(data, is_decrypting ? l->plain : l->cipher, l->len);
    assert_true(sl_digest_is_equal(&digest, &l->digest));
    assert_memory_equal(mac, l->mac, sizeof(mac));
}

static void check(const struct layer *l, size_t max_cut, unsigned seed)
{
    for (size_t i = 0; i < n_kinds; i++) {
        check_way(kinds[i], l, sl_layer_cipher_decrypt, max_cut, seed);
        check_way(kinds[i], l, sl_layer_cipher_encrypt, max_cut, seed);
    }
}

static void every_short_length_equals_openssl(void **state)
{
    static struct layer l;
    unsigned seed = 1;
    (void)state;
    for (size_t len = 1; len <= 4 * 64 + 1; len++) {
        make_layer(&l, len, SL_SHA256, &seed);
        check(&l, /* max_cut= */ 0, seed);
        check(&l, /* max_cut= */ 1, seed);
    }
}

static void random_cuts_equal_openssl(void **state)
{
    static struct layer l;
    unsigned seed = 2;
    (void)state;
    for (unsigned i = 0; i < 150; i++) {
        make_layer(&l, 1 + next_random(&seed) % SHORT_MAX, SL_SHA256, &seed);
        check(&l, 2 + next_random(&seed) % 300, seed);
    }
}

static void long_layer_equals_openssl(void **state)
{
    static struct layer l;
    unsigned seed = 3;
    (void)state;
    make_layer(&l, LONG, SL_SHA256, &seed);
    check(&l, /* max_cut= */ 0, seed);
    check(&l, /* max_cut= */ 40000, seed);
}

static void sha512_is_for_several_passes(void **state)
{
    static struct layer l;
    unsigned seed = 4;
    (void)state;
    make_layer(&l, SHORT_MAX, SL_SHA512, &seed);
    for (size_t i = 0; i < 2; i++) {
        check_way(kinds[i], &l, sl_layer_cipher_decrypt, /* max_cut= */ 100, seed);
        check_way(kinds[i], &l, sl_layer_cipher_encrypt, /* max_cut= */ 100, seed);
    }
    for (size_t i = 0; i < 2; i++) {
        static const enum sl_layer_cipher_kind fused[] = {SL_CIPHER_ONE_PASS, SL_CIPHER_FUSED_SUMS};
        struct sl_layer_cipher *c = NULL;
        struct sl_error err;
        assert_int_equal(sl_layer_cipher_new(fused[i], SL_SHA512, &l.key, &c, &err), -ENOTSUP);
        assert_int_equal(err.code, SL_E_UNSUPPORTED);
        assert_null(c);
    }
}

int main(void)
{
    if (sl_sha256_is_supported())
        kinds[n_kinds++] = SL_CIPHER_FUSED_SUMS;
    if (sl_aes256_ctr_is_supported())
        kinds[n_kinds++] = SL_CIPHER_ONE_PASS;
    else
        print_message("no AES and SHA extensions: the one pass is not tested\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_length_equals_openssl),
        cmocka_unit_test(random_cuts_equal_openssl),
        cmocka_unit_test(long_layer_equals_openssl),
        cmocka_unit_test(sha512_is_for_several_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
