/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key in a freed page: looks into every block of memory at the moment it is freed, those of the
 * module (the linker wraps free) and those of OpenSSL (its memory functions are replaced).
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

void __real_free(void *p);
void __wrap_free(void *p);

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
    return malloc(n);
}

static void *ossl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(p, n);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
