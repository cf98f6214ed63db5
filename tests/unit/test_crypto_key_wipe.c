/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key in a freed page: looks into every block of memory at the moment it is freed, those of the
 * module (the linker wraps free) and those of OpenSSL (its memory functions are replaced). Also
 * when one allocation after the other fails.
 */
#include "sluice/key_wrap.h"
#include "stage_decrypt.h"
#include "stage_encrypt.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Half an AES key is as much as the smallest unit anybody would copy. */
enum { SECRET_SIZE = 16, N_SECRETS = 5 };

static uint8_t secrets[N_SECRETS][SECRET_SIZE]; /* see watched_key() */
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

/* Watches for the key, both HMAC pads, the key as private options have it, and the KEK. */
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
    char *text = sl_base64_encode((struct sl_span){key.lek, SL_LEK_SIZE});
    memcpy(secrets[3], text, SECRET_SIZE);
    free(text);
    sl_test_fill(secrets[4], SECRET_SIZE, /* seed= */ 44);
    return key;
}

static void watch_a_run(enum sl_layer_cipher_kind kind, enum sl_digest_alg alg, int expected)
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
    watch_a_run(SL_CIPHER_BEST, SL_SHA256, -EBADMSG);
    watch_a_run(SL_CIPHER_OPENSSL, SL_SHA256, -EBADMSG);
    watch_a_run(SL_CIPHER_OPENSSL, SL_SHA512, -EBADMSG);
}

static void watch_an_encryption(enum sl_layer_cipher_kind kind)
{
    static const uint8_t data[1000];
    struct sl_layer_key key = watched_key();
    struct sl_stage_harness h;
    struct sl_stage *stage = NULL;
    struct sl_blob_summary summary;
    n_looked_at = n_found = 0;
    sl_stage_harness_open(&h, /* out_buffers= */ 0);
    is_watching = true;
    int r = sl_stage_encrypt_new_with(kind, &key, &summary, &stage, NULL);
    if (!r)
        r = sl_stage_harness_run(&h, &stage, (struct sl_span){data, sizeof(data)},
                                 (struct sl_cuts){.size = 100}, NULL);
    is_watching = false;
    sl_stage_harness_close(&h);
    assert_int_equal(r, 0);
    assert_true(n_looked_at > 0);
    assert_int_equal(n_found, 0);
}

static void encryption_leaves_no_key_in_freed_memory(void **state)
{
    (void)state;
    watch_an_encryption(SL_CIPHER_BEST);
    watch_an_encryption(SL_CIPHER_OPENSSL);
}

/* To be unlinked; the path is written into ret. */
static void write_kek(const uint8_t kek[SL_KEK_SIZE], char *ret)
{
    int fd = mkstemp(ret);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, kek, SL_KEK_SIZE), SL_KEK_SIZE);
    (void)close(fd);
}

static int give_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    (void)kid, (void)err;
    memcpy(ret, arg, SL_KEK_SIZE);
    return 0;
}

/* Recipients of all kinds that need no tool. */
static int wrap(const struct sl_layer_key *key, const char *const *specs,
                struct sl_annotations *ret)
{
    static const uint8_t hmac[SL_HMAC_SIZE];
    const struct sl_digest plain = {.alg = SL_SHA256};
    struct sl_bytes plbco = {0};
    struct sl_recipients *recipients = NULL;
    int r = sl_recipients_new(&recipients, NULL);
    for (; r == 0 && *specs; specs++)
        r = sl_recipients_add_spec(recipients, *specs, NULL);
    if (r == 0)
        r = sl_plbco_write(key, &plain, &plbco, NULL);
    if (r == 0)
        r = sl_recipients_annotate(recipients, sl_bytes_span(&plbco), hmac, NULL, 0, ret, NULL);
    sl_bytes_wipe(&plbco);
    (void)sl_recipients_free(recipients);
    return r;
}

static int unwrap(const struct sl_annotations *list, uint8_t *kek, const char *spec,
                  struct sl_layer_key *ret)
{
    struct sl_enc_annotations *a = NULL;
    struct sl_key_ring *ring = NULL;
    int r = sl_enc_annotations_parse(list->pairs, list->n, &a, NULL);
    if (r == 0)
        r = sl_key_ring_new(&ring, NULL);
    if (r == 0 && spec)
        r = sl_key_ring_add_spec(ring, spec, NULL);
    if (r == 0 && !spec)
        sl_key_ring_set_kek_lookup(ring, give_kek, kek);
    if (r == 0)
        r = sl_key_ring_unwrap(ring, a, ret, NULL, NULL);
    (void)sl_key_ring_free(ring);
    (void)sl_enc_annotations_free(a);
    return r;
}

static void watch_a_wrapping(const char *spec, uint8_t *kek, const char *private_key)
{
    const char *const specs[] = {spec, NULL};
    struct sl_layer_key key = watched_key();
    struct sl_layer_key opened = {0};
    struct sl_annotations list = {0};
    n_looked_at = n_found = 0;
    is_watching = true;
    int r = wrap(&key, specs, &list);
    if (r == 0)
        r = unwrap(&list, kek, private_key, &opened);
    sl_annotations_done(&list);
    is_watching = false;
    assert_int_equal(r, 0);
    assert_memory_equal(opened.lek, key.lek, SL_LEK_SIZE);
    assert_true(n_looked_at > 0);
    assert_int_equal(n_found, 0);
}

static void wrapping_and_unwrapping_leave_no_key_in_freed_memory(void **state)
{
    (void)state;
    uint8_t kek[SL_KEK_SIZE];
    char path[] = "/tmp/sluice-kek-XXXXXX";
    char spec[128];
    sl_test_fill(kek, SL_KEK_SIZE, /* seed= */ 44);
    write_kek(kek, path);
    (void)snprintf(spec, sizeof(spec), "provider:attestation-agent:keyid=/a/b/c::keypath=%s", path);
    watch_a_wrapping(spec, kek, NULL);
    (void)unlink(path);
    watch_a_wrapping("jwe:" SL_TEST_DATA "/keys/p521.jwk", NULL,
                     SL_TEST_DATA "/keys/p521_sec1.pem");
    watch_a_wrapping("pkcs7:" SL_TEST_DATA "/keys/rsa_certificate.pem", NULL,
                     SL_TEST_DATA "/keys/rsa_pkcs8.pem");
}

static void failed_set_up_leaves_no_key_in_freed_memory(void **state)
{
    (void)state;
    watch_a_run(SL_CIPHER_FUSED_SUMS, SL_SHA512, -ENOTSUP);
}

static void set_up_with_failing_allocations(enum sl_layer_cipher_kind kind)
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
    set_up_with_failing_allocations(SL_CIPHER_BEST);
    set_up_with_failing_allocations(SL_CIPHER_OPENSSL);
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
        cmocka_unit_test(encryption_leaves_no_key_in_freed_memory),
        cmocka_unit_test(wrapping_and_unwrapping_leave_no_key_in_freed_memory),
        cmocka_unit_test(failed_set_up_leaves_no_key_in_freed_memory),
        cmocka_unit_test(failed_allocation_is_an_error_and_leaves_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
