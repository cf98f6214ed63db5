/* SPDX-License-Identifier: Apache-2.0 */
/* AES_256_CTR_HMAC_SHA256 against fixed vectors and, for long layers, against OpenSSL's own
 * encryption; every case with the fused kernel and with the fallback. */
#include "aes256_ctr.h"
#include "stage_decrypt.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char test_lek[] = "01234567890123456789012345678912";
#define LEK_WRONG "aaa34567890123456789012345678912"

struct vector {
    const char *name;
    const char *nonce;
    const char *plain;
    const char *cipher;
    const char *hmac;
};

/* L1 is the key and text of ocicrypt's own test; L3 wraps all 128 bits of the counter, L4 carries
 * from its low into its high half. */
static const struct vector vectors[] = {
    {"L1", "000102030405060708090a0b0c0d0e0f", "7468697320697320736f6d652064617461",
     "689165ecbfa0cc73f4761fbcf15913781f",
     "5aba755270e5d163f699e731347013f7ffa2bdde1c47dd99808658a4e917b8ae"},
    {"L2", "000102030405060708090a0b0c0d0e0f", "", "",
     "88748996de5f3de63c8dc4dde5fc43627164be443f009b3d4e9bd0d5886609e2"},
    {"L3", "ffffffffffffffffffffffffffffffff",
     "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
     "2978dfa1cadd21bcc5f36e815b81b15cf1c676e52f4598fd3bc25be511f6ab5f5f3088f1f01a0f86",
     "60809f29b4f74b3533fe257ff627aa910ee90bdaa77cf1bfc602d674b22f7069"},
    {"L4", "0000000000000000ffffffffffffffff",
     "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
     "0bdcf141993bdb00df3b7a63fdd8e16614cf5af6fd72f84a271ec54f8dfae515390c617be3f76a02",
     "24c3fc5351647640fd8b245b8d6a55bf239a2c7e4769d9450cf78cfa7cdb1833"},
};
enum { N_VECTORS = sizeof(vectors) / sizeof(vectors[0]) };

/* A layer, and everything the stage is told about it. */
struct layer {
    struct sl_layer_key key;
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_digest digest;
    uint64_t size;
    struct sl_bytes plain;
    struct sl_bytes cipher;
};

static enum sl_layer_cipher_kind kinds[3];
static size_t n_kinds;

static void append_hex(struct sl_bytes *ret, const char *hex)
{
    for (; *hex; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        uint8_t b = (uint8_t)byte;
        assert_int_equal(sl_bytes_append(ret, (struct sl_span){&b, 1}, 4096, NULL), 0);
    }
}

static void copy_hex(uint8_t *ret, size_t len, const char *hex)
{
    SL_AUTO_DONE(sl_bytes) b = {0};
    append_hex(&b, hex);
    assert_int_equal(b.len, len);
    memcpy(ret, b.data, len);
}

static void set_digest(struct layer *l, enum sl_digest_alg alg)
{
    l->digest = (struct sl_digest){.alg = alg};
    const EVP_MD *md = alg == SL_SHA256 ? EVP_sha256() : EVP_sha512();
    assert_int_equal(EVP_Digest(l->cipher.data, l->cipher.len, l->digest.bytes, NULL, md, NULL), 1);
}

static struct layer layer_of(const struct vector *v)
{
    struct layer l = {.key.protocol = "jwe"};
    memcpy(l.key.lek, test_lek, SL_LEK_SIZE);
    copy_hex(l.key.nonce, SL_NONCE_SIZE, v->nonce);
    copy_hex(l.hmac, SL_HMAC_SIZE, v->hmac);
    append_hex(&l.plain, v->plain);
    append_hex(&l.cipher, v->cipher);
    l.size = l.cipher.len;
    set_digest(&l, SL_SHA256);
    return l;
}

/* A layer of len bytes, encrypted by OpenSSL in one call. */
static struct layer layer_of_length(size_t len, unsigned seed)
{
    struct layer l = {.key.protocol = "jwe", .size = len};
    sl_test_fill(l.key.lek, SL_LEK_SIZE, seed + 1);
    sl_test_fill(l.key.nonce, SL_NONCE_SIZE, seed + 2);
    l.plain = (struct sl_bytes){.data = malloc(len), .len = len, .cap = len};
    l.cipher = (struct sl_bytes){.data = malloc(len), .len = len, .cap = len};
    sl_test_fill(l.plain.data, len, seed);
    EVP_CIPHER_CTX *ctr = EVP_CIPHER_CTX_new();
    int n;
    assert_int_equal(EVP_EncryptInit_ex2(ctr, EVP_aes_256_ctr(), l.key.lek, l.key.nonce, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctr, l.cipher.data, &n, l.plain.data, (int)len), 1);
    EVP_CIPHER_CTX_free(ctr);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, l.key.lek, SL_LEK_SIZE,
                              l.cipher.data, len, l.hmac, SL_HMAC_SIZE, NULL));
    set_digest(&l, SL_SHA256);
    return l;
}

static void layer_done(struct layer *l)
{
    sl_bytes_done(&l->plain);
    sl_bytes_done(&l->cipher);
}

static int run(struct sl_stage_harness *h, enum sl_layer_cipher_kind kind, const struct layer *l,
               struct sl_cuts cuts, struct sl_error *err)
{
    struct sl_stage *stage = NULL;
    assert_int_equal(
        sl_stage_decrypt_new_with(kind, &l->key, l->hmac, &l->digest, l->size, &stage, err), 0);
    assert_int_equal(stage->ops->phase, SL_PHASE_CIPHER);
    return sl_stage_harness_run(h, &stage, sl_bytes_span(&l->cipher), cuts, err);
}

static void assert_plain(const struct sl_stage_harness *h, const struct layer *l)
{
    assert_int_equal(h->out.len, l->plain.len);
    if (l->plain.len)
        assert_memory_equal(h->out.data, l->plain.data, l->plain.len);
}

static void assert_fails(struct sl_stage_harness *h, const struct layer *l, const char *message)
{
    for (size_t k = 0; k < n_kinds; k++)
        for (size_t i = 0; i < SL_N_CUTS; i++) {
            struct sl_error err;
            assert_int_equal(run(h, kinds[k], l, sl_every_cut[i], &err), -EBADMSG);
            assert_int_equal(err.code, SL_E_INTEGRITY);
            if (strncmp(err.msg, message, strlen(message)) != 0)
                fail_msg("'%s' does not begin with '%s'", err.msg, message);
        }
}

/* The right key. */
static void decrypt_vectors_with_the_right_key(void **state)
{
    struct sl_stage_harness *h = *state;
    for (size_t v = 0; v < N_VECTORS; v++) {
        struct layer l = layer_of(&vectors[v]);
        for (size_t k = 0; k < n_kinds; k++)
            for (size_t i = 0; i < SL_N_CUTS; i++) {
                assert_int_equal(run(h, kinds[k], &l, sl_every_cut[i], NULL), 0);
                assert_plain(h, &l);
            }
        layer_done(&l);
    }
}

static void long_layer_decrypts(void **state)
{
    struct sl_stage_harness *h = *state;
    struct layer l = layer_of_length(3 * SL_BUF_SIZE + 12345, /* seed= */ 11);
    for (size_t k = 0; k < n_kinds; k++)
        for (size_t i = 0; i < SL_N_CUTS; i++) {
            if (sl_every_cut[i].size == 1)
                continue; /* byte by byte is for the short layer below */
            assert_int_equal(run(h, kinds[k], &l, sl_every_cut[i], NULL), 0);
            assert_plain(h, &l);
        }
    layer_done(&l);
}

static void short_layers_decrypt_at_any_cut(void **state)
{
    struct sl_stage_harness *h = *state;
    for (unsigned n = 0; n < 60; n++) {
        struct layer l = layer_of_length(1 + n * 37, n);
        for (size_t k = 0; k < n_kinds; k++) {
            struct sl_cuts random = {.size = 1 + n, .seed = n + 1};
            assert_int_equal(run(h, kinds[k], &l, random, NULL), 0);
            assert_plain(h, &l);
            assert_int_equal(run(h, kinds[k], &l, (struct sl_cuts){.size = 1}, NULL), 0);
            assert_plain(h, &l);
        }
        layer_done(&l);
    }
}

static void sha512_blob_decrypts(void **state)
{
    struct sl_stage_harness *h = *state;
    struct layer l = layer_of_length(100000, /* seed= */ 5);
    set_digest(&l, SL_SHA512);
    struct sl_stage *stage = NULL;
    assert_int_equal(sl_stage_decrypt_new(&l.key, l.hmac, &l.digest, l.size, &stage, NULL), 0);
    int r = sl_stage_harness_run(h, &stage, sl_bytes_span(&l.cipher), sl_every_cut[3], NULL);
    assert_int_equal(r, 0);
    assert_plain(h, &l);
    l.digest.bytes[40] ^= 1;
    struct sl_error err;
    assert_int_equal(run(h, SL_CIPHER_BEST, &l, sl_every_cut[3], &err), -EBADMSG);
    assert_non_null(strstr(err.msg, "blob digest is sha512:"));
    layer_done(&l);
}

/* No key and no HMAC: an error at set-up. */
static void decrypt_key_missing_fails_at_set_up(void **state)
{
    (void)state;
    struct layer l = layer_of(&vectors[0]);
    struct sl_stage *stage = NULL;
    struct sl_error err;
    int r = sl_stage_decrypt_new(NULL, l.hmac, &l.digest, l.size, &stage, &err);
    assert_int_equal(r, -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_string_equal(err.msg, "cannot decrypt a layer without its key");
    r = sl_stage_decrypt_new(&l.key, NULL, &l.digest, l.size, &stage, &err);
    assert_int_equal(r, -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_string_equal(err.msg, "cannot decrypt a layer without its HMAC");
    assert_null(stage);
    layer_done(&l);
}

static void key_wrong_fails_with_mac(void **state)
{
    for (size_t v = 0; v < N_VECTORS; v++) {
        struct layer l = layer_of(&vectors[v]);
        memcpy(l.key.lek, LEK_WRONG, SL_LEK_SIZE);
        assert_fails(*state, &l, "could not properly decrypt byte stream");
        layer_done(&l);
    }
}

/* A wrong HMAC: an error at the end of data. Each bit of it counts. */
static void decrypt_hmac_wrong_fails_at_the_end(void **state)
{
    struct sl_stage_harness *h = *state;
    struct layer l = layer_of(&vectors[0]);
    for (size_t i = 0; i < SL_HMAC_SIZE; i++) {
        l.hmac[i] ^= (uint8_t)(1 << i % 8);
        assert_fails(h, &l, "could not properly decrypt byte stream");
        assert_int_equal(h->n_finished, 1);
        assert_plain(h, &l);
        l.hmac[i] ^= (uint8_t)(1 << i % 8);
    }
    memset(l.hmac, 0, SL_HMAC_SIZE);
    assert_fails(h, &l, "could not properly decrypt byte stream");
    layer_done(&l);
}

static void mac_error_prints_no_mac(void **state)
{
    struct layer l = layer_of(&vectors[0]);
    l.hmac[0] ^= 1;
    struct sl_error err;
    assert_int_equal(run(*state, SL_CIPHER_BEST, &l, (struct sl_cuts){0}, &err), -EBADMSG);
    for (size_t at = 2; at + 8 <= strlen(vectors[0].hmac); at++) {
        char part[9] = {0};
        memcpy(part, vectors[0].hmac + at, 8);
        assert_null(strstr(err.msg, part));
    }
    layer_done(&l);
}

/* The nonce is outside the MAC: this layer passes here, as noise, and only its diff_id can tell.
 * Hence a nonce is taken from the wrapped key alone. */
static void nonce_replaced_passes_the_mac(void **state)
{
    struct sl_stage_harness *h = *state;
    struct layer l = layer_of(&vectors[0]);
    memset(l.key.nonce, 0, SL_NONCE_SIZE);
    sl_bytes_done(&l.plain);
    append_hex(&l.plain, "9957130990e5548ecfb44459e0afb82740");
    assert_int_equal(run(h, SL_CIPHER_BEST, &l, (struct sl_cuts){0}, NULL), 0);
    assert_plain(h, &l);
    layer_done(&l);
}

/* A damaged blob has a wrong MAC too: the digest is what is wrong with it. */
static void blob_damaged_fails_with_digest(void **state)
{
    for (size_t v = 0; v < N_VECTORS; v++) {
        struct layer l = layer_of(&vectors[v]);
        if (l.cipher.len) {
            l.cipher.data[l.cipher.len - 1] ^= 0x80;
            assert_fails(*state, &l, "blob digest is sha256:");
        }
        layer_done(&l);
    }
}

static void blob_and_mac_both_replaced_fails_with_digest(void **state)
{
    struct layer l = layer_of(&vectors[2]);
    l.digest.bytes[0] ^= 1;
    assert_fails(*state, &l, "blob digest is sha256:");
    layer_done(&l);
}

static void blob_short_fails_with_size(void **state)
{
    struct layer l = layer_of(&vectors[2]);
    l.size++;
    assert_fails(*state, &l, "blob ends after 40 of the 41 bytes");
    layer_done(&l);
}

static void blob_long_fails_at_the_first_byte_too_many(void **state)
{
    struct sl_stage_harness *h = *state;
    struct layer l = layer_of(&vectors[2]);
    l.size = 20;
    assert_fails(h, &l, "blob is longer than the 20 bytes");
    for (size_t k = 0; k < n_kinds; k++) {
        struct sl_error err;
        assert_int_equal(run(h, kinds[k], &l, (struct sl_cuts){.size = 1}, &err), -EBADMSG);
        assert_int_equal(h->pushed, 21);
        assert_int_equal(h->out.len, 20);
        assert_int_equal(h->n_finished, 0);
    }
    layer_done(&l);
}

static int set_up(void **state)
{
    static struct sl_stage_harness h;
    sl_stage_harness_open(&h, /* out_buffers= */ 0);
    *state = &h;
    return 0;
}

static int tear_down(void **state)
{
    sl_stage_harness_close(*state);
    return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    kinds[n_kinds++] = SL_CIPHER_OPENSSL;
    if (sl_sha256_is_supported())
        kinds[n_kinds++] = SL_CIPHER_FUSED_SUMS;
    else
        print_message("no SHA extensions: the fused kernel is not tested\n");
    if (sl_aes256_ctr_is_supported())
        kinds[n_kinds++] = SL_CIPHER_ONE_PASS;
    else
        print_message("no AES and SHA extensions: the one pass is not tested\n");
    const struct CMUnitTest tests[] = {
        CASE(decrypt_vectors_with_the_right_key),
        CASE(long_layer_decrypts),
        CASE(short_layers_decrypt_at_any_cut),
        CASE(sha512_blob_decrypts),
        CASE(decrypt_key_missing_fails_at_set_up),
        CASE(key_wrong_fails_with_mac),
        CASE(decrypt_hmac_wrong_fails_at_the_end),
        CASE(mac_error_prints_no_mac),
        CASE(nonce_replaced_passes_the_mac),
        CASE(blob_damaged_fails_with_digest),
        CASE(blob_and_mac_both_replaced_fails_with_digest),
        CASE(blob_short_fails_with_size),
        CASE(blob_long_fails_at_the_first_byte_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
