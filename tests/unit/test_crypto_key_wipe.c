/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key in a freed page: looks into every block of memory at the moment it is freed, those of the
 * module (the linker wraps free) and those of OpenSSL (its memory functions are replaced). Also
 * when one allocation after the other fails.
 */
#include "stage_decrypt.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* Half an AES key is as much as the smallest unit anybody would copy. */
enum { SECRET_SIZE = 16, N_SECRETS = 3 };

static uint8_t secrets[N_SECRETS][SECRET_SIZE]; /* the key, and both HMAC pads */
/* volatile: the compiler believes that free() reads and writes none of this. */
static volatile bool is_watching;
static volatile unsigned n_looked_at, n_found;

/* The allocation that fails, counted down while watching; 0: none. */
static volatile unsigned fail_in;

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool must_fail(void)
{
    if (!is_watching || !fail_in)
        return false;
    return --fail_in == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

static void look_into(void *p)
{
    if (!p || !is_watching)
        return;
    n_looked_at++;
    for (size_t i = 0; i < N_SECRETS; i++)
        n_found += memmem(p, malloc_usable_size(p), secrets[i], SECRET_SIZE) != NULL;
}

void __wrap_free(void *p)
{
    look_into(p);
    __real_free(p);
}

static void *ossl_malloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return must_fail() ? NULL : malloc(n);
}

static void *ossl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return must_fail() ? NULL : realloc(p, n);
}

static void ossl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

static struct sl_layer_key watched_key(void)
{
    struct sl_layer_key key = {.protocol = "jwe"};
    sl_test_fill(key.lek, SL_LEK_SIZE, /* seed= */ 42);
    sl_test_fill(key.nonce, SL_NONCE_SIZE, /* seed= */ 43);
    for (size_t i = 0; i < SECRET_SIZE; i++) {
        secrets[0][i] = key.lek[i];
        secrets[1][i] = key.lek[i] ^ 0x36;
        secrets[2][i] = key.lek[i] ^ 0x5c;
    }
    return key;
}

static void watch_a_run(enum sl_blob_sums_kind kind, enum sl_digest_alg alg, int expected)
{
    static const uint8_t data[1000];
    const uint8_t hmac[SL_HMAC_SIZE] = {0};
    struct sl_layer_key key = watched_key();
    struct sl_digest digest = {.alg = alg};
    struct sl_stage_harness h;
    struct sl_stage *stage = NULL;
    n_looked_at = n_found = 0;
    sl_stage_harness_open(&h, /* out_buffers= */ 0);
    is_watching = true;
    int r = sl_stage_decrypt_new_with(kind, &key, hmac, &digest, sizeof(data), &stage, NULL);
    if (!r)
        r = sl_stage_harness_run(&h, &stage, (struct sl_span){data, sizeof(data)},
                                 (struct sl_cuts){.size = 100}, NULL);
    is_watching = false;
    sl_stage_harness_close(&h);
    assert_int_equal(r, expected);
    assert_true(n_looked_at > 0);
    assert_int_equal(n_found, 0);
}

static void close_leaves_no_key_in_freed_memory(void **state)
{
    (void)state;
    watch_a_run(SL_SUMS_BEST, SL_SHA256, -EBADMSG);
    watch_a_run(SL_SUMS_OPENSSL, SL_SHA256, -EBADMSG);
    watch_a_run(SL_SUMS_OPENSSL, SL_SHA512, -EBADMSG);
}

static void failed_set_up_leaves_no_key_in_freed_memory(void **state)
{
    (void)state;
    watch_a_run(SL_SUMS_FUSED, SL_SHA512, -ENOTSUP);
}

static void set_up_with_failing_allocations(enum sl_blob_sums_kind kind)
{
    const uint8_t hmac[SL_HMAC_SIZE] = {0};
    const struct sl_digest digest = {.alg = SL_SHA256};
    struct sl_layer_key key = watched_key();
    bool did_fail = true;
    for (unsigned n = 1; did_fail; n++) {
        struct sl_stage *stage = NULL;
        struct sl_error err = {0};
        n_found = 0;
        fail_in = n;
        is_watching = true;
        int r = sl_stage_decrypt_new_with(kind, &key, hmac, &digest, 1, &stage, &err);
        did_fail = fail_in == 0;
        fail_in = 0;
        (void)sl_stage_close(stage);
        is_watching = false;
        assert_int_equal(n_found, 0);
        assert_int_equal(r, stage ? 0 : -ENOMEM);
        assert_int_equal(err.code, stage ? SL_OK : SL_E_SYSTEM);
        assert_true(did_fail || stage);
    }
}

static void failed_allocation_is_an_error_and_leaves_no_key(void **state)
{
    (void)state;
    set_up_with_failing_allocations(SL_SUMS_BEST);
    set_up_with_failing_allocations(SL_SUMS_OPENSSL);
}

/* A watcher that sees nothing would make the tests above worthless. */
static void watcher_sees_an_unwiped_key(void **state)
{
    (void)state;
    struct sl_layer_key *volatile copy = malloc(sizeof(*copy));
    assert_non_null(copy);
    *copy = watched_key();
    n_found = 0;
    is_watching = true;
    free(copy);
    is_watching = false;
    assert_int_equal(n_found, 1);

    const struct sl_layer_key key = watched_key();
    n_found = 0;
    is_watching = true;
    OPENSSL_free(OPENSSL_memdup(&key, sizeof(key)));
    is_watching = false;
    assert_int_equal(n_found, 1);
}

int main(void)
{
    /* Before OpenSSL has allocated anything. */
    if (!CRYPTO_set_mem_functions(ossl_malloc, ossl_realloc, ossl_free))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watcher_sees_an_unwiped_key),
        cmocka_unit_test(close_leaves_no_key_in_freed_memory),
        cmocka_unit_test(failed_set_up_leaves_no_key_in_freed_memory),
        cmocka_unit_test(failed_allocation_is_an_error_and_leaves_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
