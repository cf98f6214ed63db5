/* SPDX-License-Identifier: Apache-2.0 */
/* The fused kernel against OpenSSL's one-shot functions, over lengths around every boundary and
 * random cuts. */
#include "blob_sums.h"
#include "sha256_pair.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 3000 };

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(uint8_t *data, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)next_random(&seed);
}

struct expected {
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
};

static struct expected by_openssl(enum sl_digest_alg alg, const uint8_t key[SL_LEK_SIZE],
                                  struct sl_span bytes)
{
    struct expected e = {.digest = {.alg = alg}};
    const EVP_MD *md = alg == SL_SHA256 ? EVP_sha256() : EVP_sha512();
    assert_int_equal(EVP_Digest(bytes.data, bytes.len, e.digest.bytes, NULL, md, NULL), 1);
    assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, SL_LEK_SIZE, bytes.data,
                              bytes.len, e.mac, sizeof(e.mac), NULL));
    return e;
}

/* max_cut 0: in one piece. */
static void check(enum sl_blob_sums_kind kind, enum sl_digest_alg alg, struct sl_span bytes,
                  size_t max_cut, unsigned seed)
{
    uint8_t key[SL_LEK_SIZE];
    fill(key, sizeof(key), seed + 1);
    struct expected want = by_openssl(alg, key, bytes);

    SL_AUTO(sl_blob_sums) sums = NULL;
    assert_int_equal(sl_blob_sums_new(kind, alg, key, &sums, NULL), 0);
    while (bytes.len) {
        size_t n = max_cut ? 1 + next_random(&seed) % max_cut : bytes.len;
        if (n > bytes.len)
            n = bytes.len;
        assert_int_equal(sl_blob_sums_update(sums, (struct sl_span){bytes.data, n}, NULL), 0);
        bytes.data += n;
        bytes.len -= n;
    }
    struct sl_digest digest = {.alg = SL_SHA512};
    uint8_t mac[SL_HMAC_SIZE];
    assert_int_equal(sl_blob_sums_final(sums, &digest, mac, NULL), 0);
    assert_true(sl_digest_is_equal(&digest, &want.digest));
    assert_memory_equal(mac, want.mac, sizeof(mac));
}

static void check_lengths(enum sl_blob_sums_kind kind, enum sl_digest_alg alg)
{
    static uint8_t data[LENGTH_MAX];
    fill(data, sizeof(data), /* seed= */ 7);
    for (size_t len = 0; len <= 4 * SL_SHA256_BLOCK + 1; len++) {
        check(kind, alg, (struct sl_span){data, len}, /* max_cut= */ 0, (unsigned)len);
        check(kind, alg, (struct sl_span){data, len}, /* max_cut= */ 1, (unsigned)len);
    }
    unsigned seed = 99;
    for (unsigned i = 0; i < 300; i++) {
        size_t len = next_random(&seed) % LENGTH_MAX;
        size_t max_cut = 1 + next_random(&seed) % 300;
        /* Also from addresses that are not aligned. */
        size_t off = len < LENGTH_MAX - 64 ? next_random(&seed) % 64 : 0;
        check(kind, alg, (struct sl_span){data + off, len}, max_cut, i);
    }
}

static void require_sha_extensions(void)
{
    if (!sl_sha256_is_supported()) {
        print_message("this processor has no SHA extensions\n");
        skip();
    }
}

static void fused_random_cuts_equal_openssl(void **state)
{
    (void)state;
    require_sha_extensions();
    check_lengths(SL_SUMS_FUSED, SL_SHA256);
}

static void fallback_random_cuts_equal_openssl(void **state)
{
    (void)state;
    check_lengths(SL_SUMS_OPENSSL, SL_SHA256);
    check_lengths(SL_SUMS_OPENSSL, SL_SHA512);
}

static void best_takes_either_algorithm(void **state)
{
    (void)state;
    check_lengths(SL_SUMS_BEST, SL_SHA256);
    check_lengths(SL_SUMS_BEST, SL_SHA512);
}

static void fused_sha512_is_unsupported(void **state)
{
    (void)state;
    const uint8_t key[SL_LEK_SIZE] = {0};
    struct sl_blob_sums *sums = NULL;
    struct sl_error err;
    assert_int_equal(sl_blob_sums_new(SL_SUMS_FUSED, SL_SHA512, key, &sums, &err), -ENOTSUP);
    assert_int_equal(err.code, SL_E_UNSUPPORTED);
    assert_null(sums);
}

/* 16 MiB and a bit: long enough for a chain that drifts. */
static void fused_long_message_equals_openssl(void **state)
{
    (void)state;
    require_sha_extensions();
    size_t len = 16 * 1024 * 1024 + 77;
    uint8_t *data = malloc(len);
    assert_non_null(data);
    fill(data, len, /* seed= */ 3);
    check(SL_SUMS_FUSED, SL_SHA256, (struct sl_span){data, len}, /* max_cut= */ 300000, 5);
    free(data);
}

/* The first example of FIPS 180: a published value, so that oracle and kernel are not wrong
 * together. */
static void pair_abc_gives_published_digest(void **state)
{
    (void)state;
    require_sha_extensions();
    static const uint8_t want[SL_SHA256_SIZE] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
                                                 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                                 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
                                                 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    const uint8_t prefix[SL_SHA256_BLOCK] = {0};
    struct sl_sha256_pair pair;
    uint8_t plain[SL_SHA256_SIZE], prefixed[SL_SHA256_SIZE];
    sl_sha256_pair_init(&pair, prefix);
    sl_sha256_pair_update(&pair, sl_span_of("abc"));
    sl_sha256_pair_final(&pair, plain, prefixed);
    assert_memory_equal(plain, want, sizeof(want));
    sl_sha256_pair_done(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pair_abc_gives_published_digest),
        cmocka_unit_test(fused_random_cuts_equal_openssl),
        cmocka_unit_test(fused_long_message_equals_openssl),
        cmocka_unit_test(fused_sha512_is_unsupported),
        cmocka_unit_test(fallback_random_cuts_equal_openssl),
        cmocka_unit_test(best_takes_either_algorithm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
