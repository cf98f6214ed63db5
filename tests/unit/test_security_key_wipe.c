/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No key in a freed block: the linker wraps the module's free(), which looks into every block. Also
 * when one allocation after the other fails.
 */
#include "sluice/kbc.h"
#include "sluice/key_provider.h"

#include "assert_result.h"
#include "scratch_dir.h"

#include <malloc.h>

/* 36 bytes: "k" and so on, as they are, as base64, and as a list of numbers. */
#define PLAIN "keep-this-secret-keep-this-secret-36"
#define BASE64 "a2VlcC10aGlzLXNlY3JldC1rZWVwLXRoaXMtc2VjcmV0LTM2"
#define NUMBERS "107,101,101,112,45,116,104,105,115"
/* A KEK has 32 bytes. */
#define KEK "32-bytes-of-a-secret-key-for-you"
#define KEK_BASE64 "MzItYnl0ZXMtb2YtYS1zZWNyZXQta2V5LWZvci15b3U="

static const char *const secrets[] = {"this-secret-keep", "LXRoaXMtc2VjcmV0",
                                      "LXNlY3JldC1rZWVw", NUMBERS,
                                      "of-a-secret-key-", "b2YtYS1zZWNyZXQt"};

/* volatile: the compiler believes that free() reads and writes none of this. */
static volatile bool is_watching;
static volatile unsigned n_looked_at, n_found;
static volatile unsigned fail_in; /* the allocation that fails, counted down; 0: none */

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool must_fail(void)
{
    return is_watching && fail_in && --fail_in == 0;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return must_fail() ? NULL : __real_calloc(n, size);
}

void __wrap_free(void *p)
{
    for (size_t i = 0; p && is_watching && i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        n_looked_at++;
        n_found += memmem(p, malloc_usable_size(p), secrets[i], strlen(secrets[i])) != NULL;
    }
    __real_free(p);
}

/* First undisturbed, then with each allocation failing in turn, until one attempt needs no more. */
static void assert_leaves_nothing(int (*story)(void *arg, struct sl_error *err), void *arg)
{
    int r = -ENOMEM;
    struct sl_error err = {0};
    for (unsigned n = 0; r < 0; n++) {
        assert_in_range(n, 0, 500);
        n_found = n_looked_at = 0;
        fail_in = n;
        is_watching = true;
        r = story(arg, &err);
        is_watching = false;
        if (n_found)
            fail_msg("%u secrets were freed when allocation %u failed", n_found, n);
        if (n == 0) {
            assert_int_equal(r, 0);
            assert_true(n_looked_at > 0);
            r = -ENOMEM;
        } else if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(err.errnum, ENOMEM);
        }
    }
}

static void watch_sees_a_secret(void **state)
{
    (void)state;
    char *p = strdup(PLAIN);
    n_found = 0;
    is_watching = true;
    free(p);
    is_watching = false;
    assert_int_equal(n_found, 1);
}

/* ---- brokers ---- */

static int ask_broker(void *arg, struct sl_error *err)
{
    const struct sl_kbc_options options = {.selection = "offline_fs_kbc::null",
                                           .offline_keys = arg};
    SL_AUTO(sl_kbc) kbc = NULL;
    uint8_t kek[32];
    int r = sl_kbc_open(&options, &kbc, err);
    if (r == 0)
        r = sl_kbc_lookup_kek(kbc, "kbs:///a/b/c", kek, err);
    if (r == 0)
        assert_memory_equal(kek, KEK, 32);
    return r;
}

static void broker_wipes_its_keys(void **state)
{
    (void)state;
    SCRATCH_DIR dir = scratch_make();
    scratch_write(&dir, "keys", "{\"a/b/c\":\"" KEK_BASE64 "\"}", 0600);
    SL_AUTO_FREE char *keys = scratch_path(&dir, "keys");
    assert_leaves_nothing(ask_broker, keys);
}

/* ---- providers ---- */

static int answer_plain(void *arg, const struct sl_provider *provider, bool is_unwrap,
                        struct sl_span request, int deadline_ms, struct sl_bytes *ret,
                        struct sl_error *err)
{
    (void)arg, (void)provider, (void)request, (void)deadline_ms;
    const char *answer = is_unwrap ? "{\"keyunwrapresults\":{\"optsdata\":\"" BASE64 "\"}}"
                                   : "{\"keywrapresults\":{\"annotation\":[1,2]}}";
    return sl_bytes_append(ret, sl_span_of(answer), 4096, err);
}

static int ask_provider(void *arg, struct sl_error *err)
{
    (void)arg;
    SL_AUTO(sl_providers) providers = NULL;
    struct sl_bytes plbco = {0};
    struct sl_bytes element = {0};
    const char *json = "{\"key-providers\":{\"kp\":{\"grpc\":\"x\"}}}";
    int r = sl_providers_parse(sl_span_of(json), &providers, err);
    if (r < 0)
        return r;
    sl_providers_set_call(providers, answer_plain, NULL, 1000);
    r = sl_providers_unwrap(providers, "kp", "p", sl_span_of("e"), &plbco, err);
    if (r == 0)
        r = sl_providers_wrap(providers, "kp", "p", sl_bytes_span(&plbco), &element, err);
    if (r == 0)
        assert_string_equal((const char *)plbco.data, PLAIN);
    sl_bytes_wipe(&plbco);
    sl_bytes_done(&element);
    return r;
}

static void provider_asked_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_leaves_nothing(ask_provider, NULL);
}

static int serve(void *arg, struct sl_error *err)
{
    (void)arg;
    SL_AUTO_DONE(sl_provider_request) request = {0};
    struct sl_bytes answer = {0};
    const char *json = "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"kp\":["
                       "\"" BASE64 "\"]}},\"optsdata\":\"" BASE64 "\"}}";
    int r = sl_provider_request_parse(sl_span_of(json), SL_PROVIDER_WRAP, &request, err);
    if (r == 0)
        r = sl_provider_answer_write(SL_PROVIDER_UNWRAP, sl_bytes_span(&request.payload), &answer,
                                     err);
    sl_bytes_wipe(&answer);
    return r;
}

static void provider_served_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_leaves_nothing(serve, NULL);
}

static int generate(void *arg, struct sl_error *err)
{
    (void)arg;
    struct sl_bytes keys = {0};
    int r = sl_offline_keys_generate(NULL, 3, &keys, err);
    sl_bytes_wipe(&keys);
    return r;
}

static void generating_survives_every_failing_allocation(void **state)
{
    (void)state;
    assert_leaves_nothing(generate, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(watch_sees_a_secret),
        cmocka_unit_test(broker_wipes_its_keys),
        cmocka_unit_test(provider_asked_leaves_nothing_behind),
        cmocka_unit_test(provider_served_leaves_nothing_behind),
        cmocka_unit_test(generating_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
