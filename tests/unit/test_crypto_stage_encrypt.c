/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption against fixed vectors and, for long layers, against OpenSSL in one call; then back
 * through decryption. Every case with the fused kernel and with the fallback. */
#include "aes256_ctr.h"
#include "hex_bytes.h"
#include "stage_encrypt.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

static enum sl_layer_cipher_kind kinds[3] = {SL_CIPHER_OPENSSL};
static size_t n_kinds = 1;

/* What has to come out. */
struct expected {
    struct sl_span plain, cipher;
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_digest digest;
};

static void check(const struct sl_layer_key *key, const struct expected *want)
{
    for (size_t i = 0; i < n_kinds; i++) {
        for (size_t c = 0; c < SL_N_CUTS; c++) {
            struct sl_stage_harness h;
            struct sl_stage *stage = NULL;
            struct sl_blob_summary summary = {0};
            sl_stage_harness_open(&h, /* out_buffers= */ 0);
            assert_int_equal(sl_stage_encrypt_new_with(kinds[i], key, &summary, &stage, NULL), 0);
            assert_int_equal(stage->ops->phase, SL_PHASE_CIPHER);
            assert_int_equal(sl_stage_harness_run(&h, &stage, want->plain, sl_every_cut[c], NULL),
                             0);
            assert_int_equal(h.out.len, want->cipher.len);
            assert_memory_equal(h.out.data ? h.out.data : want->cipher.data, want->cipher.data,
                                want->cipher.len);
            assert_int_equal(summary.size, want->cipher.len);
            assert_memory_equal(summary.hmac, want->hmac, SL_HMAC_SIZE);
            assert_true(sl_digest_is_equal(&summary.digest, &want->digest));
            sl_stage_harness_close(&h);
        }
    }
}

static struct sl_digest sha256_of(struct sl_span bytes)
{
    struct sl_digest d = {.alg = SL_SHA256};
    assert_int_equal(EVP_Digest(bytes.data, bytes.len, d.bytes, NULL, EVP_sha256(), NULL), 1);
    return d;
}

/* L1 is the key and text of ocicrypt's own test; L3 wraps all 128 bits of the counter, L4 carries
 * from its low into its high half. */
static void published_vectors_are_met(void **state)
{
    (void)state;
#define ZEROS "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
    static const struct {
        const char *nonce, *plain, *cipher, *hmac;
    } vectors[] = {
        {"000102030405060708090a0b0c0d0e0f", "7468697320697320736f6d652064617461",
         "689165ecbfa0cc73f4761fbcf15913781f",
         "5aba755270e5d163f699e731347013f7ffa2bdde1c47dd99808658a4e917b8ae"},
        {"000102030405060708090a0b0c0d0e0f", "", "",
         "88748996de5f3de63c8dc4dde5fc43627164be443f009b3d4e9bd0d5886609e2"},
        {"ffffffffffffffffffffffffffffffff", ZEROS,
         "2978dfa1cadd21bcc5f36e815b81b15cf1c676e52f4598fd3bc25be511f6ab5f5f3088f1f01a0f86",
         "60809f29b4f74b3533fe257ff627aa910ee90bdaa77cf1bfc602d674b22f7069"},
        {"0000000000000000ffffffffffffffff", ZEROS,
         "0bdcf141993bdb00df3b7a63fdd8e16614cf5af6fd72f84a271ec54f8dfae515390c617be3f76a02",
         "24c3fc5351647640fd8b245b8d6a55bf239a2c7e4769d9450cf78cfa7cdb1833"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct sl_layer_key key = {0};
        SL_AUTO_DONE(sl_bytes) nonce = bytes_of_hex(vectors[i].nonce);
        SL_AUTO_DONE(sl_bytes) plain = bytes_of_hex(vectors[i].plain);
        SL_AUTO_DONE(sl_bytes) cipher = bytes_of_hex(vectors[i].cipher);
        SL_AUTO_DONE(sl_bytes) hmac = bytes_of_hex(vectors[i].hmac);
        struct expected want = {.plain = sl_bytes_span(&plain), .cipher = sl_bytes_span(&cipher)};
        memcpy(key.lek, "01234567890123456789012345678912", SL_LEK_SIZE);
        memcpy(key.nonce, nonce.data, SL_NONCE_SIZE);
        memcpy(want.hmac, hmac.data, SL_HMAC_SIZE);
        want.digest = sha256_of(want.cipher);
        check(&key, &want);
    }
}

static void long_layer_is_what_openssl_makes_of_it(void **state)
{
    (void)state;
    enum { LEN = 300001 };
    static uint8_t plain[LEN], cipher[LEN];
    struct sl_layer_key key = {0};
    struct expected want = {.plain = {plain, LEN}, .cipher = {cipher, LEN}};
    sl_test_fill(plain, LEN, /* seed= */ 1);
    sl_test_fill(key.lek, SL_LEK_SIZE, /* seed= */ 2);
    sl_test_fill(key.nonce, SL_NONCE_SIZE, /* seed= */ 3);
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    int n;
    assert_int_equal(EVP_EncryptInit_ex2(ctr, EVP_aes_256_ctr(), key.lek, key.nonce, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctr, cipher, &n, plain, LEN), 1);
    EVP_CIPHER_CTX_free(ctr);
    assert_non_null(HMAC(EVP_sha256(), key.lek, SL_LEK_SIZE, cipher, LEN, want.hmac, NULL));
    want.digest = sha256_of(want.cipher);
    check(&key, &want);
}

static void generated_keys_differ_and_decrypt(void **state)
{
    (void)state;
    struct sl_layer_key a = {.protocol = "x"};
    struct sl_layer_key b;
    assert_int_equal(sl_layer_key_generate(&a, NULL), 0);
    assert_int_equal(sl_layer_key_generate(&b, NULL), 0);
    assert_null(a.protocol);
    assert_memory_not_equal(a.lek, b.lek, SL_LEK_SIZE);
    assert_memory_not_equal(a.nonce, b.nonce, SL_NONCE_SIZE);

    struct sl_stage_harness h;
    struct sl_stage *stage = NULL;
    struct sl_blob_summary summary = {0};
    sl_stage_harness_open(&h, /* out_buffers= */ 0);
    assert_int_equal(sl_stage_encrypt_new(&a, &summary, &stage, NULL), 0);
    assert_int_equal(
        sl_stage_harness_run(&h, &stage, sl_span_of("some layer"), sl_every_cut[0], NULL), 0);
    SL_AUTO_DONE(sl_bytes) cipher = h.out;
    h.out = (struct sl_bytes){0};
    assert_int_equal(
        sl_stage_decrypt_new(&a, summary.hmac, &summary.digest, summary.size, &stage, NULL), 0);
    assert_int_equal(
        sl_stage_harness_run(&h, &stage, sl_bytes_span(&cipher), sl_every_cut[0], NULL), 0);
    assert_memory_equal(h.out.data, "some layer", 10);
    sl_stage_harness_close(&h);
}

int main(void)
{
    if (sl_sha256_is_supported())
        kinds[n_kinds++] = SL_CIPHER_FUSED_SUMS;
    if (sl_aes256_ctr_is_supported())
        kinds[n_kinds++] = SL_CIPHER_ONE_PASS;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_are_met),
        cmocka_unit_test(long_layer_is_what_openssl_makes_of_it),
        cmocka_unit_test(generated_keys_differ_and_decrypt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
