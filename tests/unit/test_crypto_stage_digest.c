/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/layer_crypto.h"
#include "stage_harness.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* The million letters "a" of FIPS 180's examples. */
enum { N_LETTERS = 1000000 };
static const char million_sha256[] =
    "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";
static const char million_sha512[] =
    "sha512:e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
    "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b";
static const char empty_sha256[] =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* The longer example of the same document, for byte by byte. */
static const char alphabet[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijk"
                               "lmnopjklmnopqklmnopqrlmnopqrs"
                               "mnopqrstnopqrstu";
static const char alphabet_sha256[] =
    "sha256:cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1";
static const char alphabet_sha512[] =
    "sha512:8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
    "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909";

enum { N_LONG_CUTS = 3 };
static const struct sl_cuts long_cuts[N_LONG_CUTS] = {
    {.size = 0}, {.size = 1000, .seed = 1}, {.size = 70000, .seed = 2}};

static uint8_t letters[N_LETTERS];
static const struct sl_span million = {letters, N_LETTERS};

static struct sl_digest digest_of(const char *text)
{
    struct sl_digest d;
    assert_int_equal(sl_digest_parse(text, &d, NULL), 0);
    return d;
}

static int run_blob(struct sl_stage_harness *h, const char *expected, uint64_t size,
                    struct sl_span input, struct sl_cuts cuts, struct sl_error *err)
{
    struct sl_digest d = digest_of(expected);
    struct sl_stage *stage = NULL;
    assert_int_equal(sl_stage_blob_digest_new(&d, size, &stage, err), 0);
    assert_int_equal(stage->ops->phase, SL_PHASE_BLOB);
    return sl_stage_harness_run(h, &stage, input, cuts, err);
}

static int run_diff_id(struct sl_stage_harness *h, const char *expected, struct sl_span input,
                       struct sl_cuts cuts, struct sl_error *err)
{
    struct sl_digest d = digest_of(expected);
    struct sl_stage *stage = NULL;
    assert_int_equal(sl_stage_diff_id_new(&d, &stage, err), 0);
    assert_int_equal(stage->ops->phase, SL_PHASE_PLAIN);
    return sl_stage_harness_run(h, &stage, input, cuts, err);
}

static void assert_all_passed_on(const struct sl_stage_harness *h, struct sl_span input)
{
    assert_int_equal(h->out.len, input.len);
    assert_memory_equal(h->out.data, input.data, input.len);
}

static void blob_right_bytes_pass(void **state)
{
    struct sl_stage_harness *h = *state;
    for (size_t i = 0; i < N_LONG_CUTS; i++) {
        assert_int_equal(run_blob(h, million_sha256, N_LETTERS, million, long_cuts[i], NULL), 0);
        assert_all_passed_on(h, million);
        assert_int_equal(run_blob(h, million_sha512, N_LETTERS, million, long_cuts[i], NULL), 0);
        assert_all_passed_on(h, million);
    }
}

static void byte_by_byte_passes(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_span input = sl_span_of(alphabet);
    struct sl_cuts bytes = {.size = 1};
    assert_int_equal(run_blob(h, alphabet_sha256, input.len, input, bytes, NULL), 0);
    assert_all_passed_on(h, input);
    assert_int_equal(run_blob(h, alphabet_sha512, input.len, input, bytes, NULL), 0);
    assert_int_equal(run_diff_id(h, alphabet_sha256, input, bytes, NULL), 0);
    assert_all_passed_on(h, input);
    assert_int_equal(run_diff_id(h, alphabet_sha512, input, bytes, NULL), 0);
}

static void blob_empty_passes(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_span none = {letters, 0};
    assert_int_equal(run_blob(h, empty_sha256, 0, none, (struct sl_cuts){0}, NULL), 0);
    assert_int_equal(h->out.len, 0);
}

static void blob_wrong_bytes_fail_at_the_end(void **state)
{
    struct sl_stage_harness *h = *state;
    for (size_t i = 0; i < N_LONG_CUTS; i++) {
        struct sl_error err;
        letters[N_LETTERS / 2] ^= 0x01;
        int r = run_blob(h, million_sha256, N_LETTERS, million, long_cuts[i], &err);
        letters[N_LETTERS / 2] ^= 0x01;
        assert_int_equal(r, -EBADMSG);
        assert_int_equal(err.code, SL_E_INTEGRITY);
        assert_int_equal(h->n_finished, 1);
        assert_non_null(strstr(err.msg, "blob digest is sha256:"));
        assert_non_null(strstr(err.msg, million_sha256));
    }
}

static void blob_one_byte_too_long_fails_at_that_byte(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_error err;
    enum { SIZE = 1000 };
    int r = run_blob(h, million_sha256, SIZE, million, (struct sl_cuts){.size = 1}, &err);
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_int_equal(h->pushed, SIZE + 1);
    assert_int_equal(h->out.len, SIZE);
    assert_int_equal(h->n_finished, 0);
    assert_string_equal(err.msg, "blob is longer than the 1000 bytes of its descriptor");
}

static void blob_too_long_hands_on_nothing_of_that_buffer(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_error err;
    int r = run_blob(h, million_sha256, /* size= */ 10, million, (struct sl_cuts){0}, &err);
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_int_equal(h->pushed, SL_BUF_SIZE);
    assert_int_equal(h->out.len, 0);
}

static void blob_short_fails_with_both_sizes(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_error err;
    int r = run_blob(h, million_sha256, N_LETTERS + 1, million, (struct sl_cuts){0}, &err);
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    assert_int_equal(h->n_finished, 1);
    assert_string_equal(err.msg, "blob ends after 1000000 of the 1000001 bytes of its descriptor");
}

static void diff_id_sha256_and_sha512_pass(void **state)
{
    struct sl_stage_harness *h = *state;
    for (size_t i = 0; i < N_LONG_CUTS; i++) {
        assert_int_equal(run_diff_id(h, million_sha256, million, long_cuts[i], NULL), 0);
        assert_all_passed_on(h, million);
        assert_int_equal(run_diff_id(h, million_sha512, million, long_cuts[i], NULL), 0);
        assert_all_passed_on(h, million);
    }
}

static void diff_id_mismatch_has_the_known_text(void **state)
{
    struct sl_stage_harness *h = *state;
    struct sl_error err;
    int r = run_diff_id(h, empty_sha256, million, (struct sl_cuts){0}, &err);
    assert_int_equal(r, -EBADMSG);
    assert_int_equal(err.code, SL_E_INTEGRITY);
    char want[SL_ERROR_MSG_MAX];
    snprintf(want, sizeof(want), "unequal uncompressed digest %s config diff_id %s", million_sha256,
             empty_sha256);
    assert_string_equal(err.msg, want);
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

static void summary_tells_digest_and_size_of_what_passed(void **state)
{
    (void)state;
    static const struct {
        struct sl_span bytes;
        const char *digest;
    } cases[] = {{{letters, N_LETTERS}, million_sha256}, {{letters, 0}, empty_sha256}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t c = 0; c < N_LONG_CUTS; c++) {
            struct sl_stage_harness h;
            struct sl_stage *stage = NULL;
            struct sl_blob_summary summary = {.size = 7};
            struct sl_digest want = digest_of(cases[i].digest);
            sl_stage_harness_open(&h, /* out_buffers= */ 0);
            assert_int_equal(sl_stage_summary_new(&summary, &stage, NULL), 0);
            assert_int_equal(stage->ops->phase, SL_PHASE_OUT);
            assert_int_equal(summary.size, 7);
            assert_int_equal(sl_stage_harness_run(&h, &stage, cases[i].bytes, long_cuts[c], NULL),
                             0);
            assert_int_equal(summary.size, cases[i].bytes.len);
            assert_true(sl_digest_is_equal(&summary.digest, &want));
            assert_int_equal(h.out.len, cases[i].bytes.len);
            sl_stage_harness_close(&h);
        }
    }
}

/* Ends with what the two diff_ids say of their first `n` letters each, of which the look ahead saw
 * the first piece. */
static void run_two(const char *const expected[2], size_t first, const size_t n[2], int ret[2])
{
    struct sl_stage_harness h[2];
    struct sl_stage *stages[2] = {NULL, NULL};
    struct sl_buf *bufs[2];
    for (size_t i = 0; i < 2; i++) {
        struct sl_digest d = digest_of(expected[i]);
        sl_stage_harness_open(&h[i], 1);
        assert_int_equal(sl_stage_diff_id_new(&d, &stages[i], NULL), 0);
        bufs[i] = sl_buf_acquire(h[i].in_lane);
        bufs[i]->len = first < n[i] ? first : n[i];
        memcpy(bufs[i]->data, letters, bufs[i]->len);
    }
    sl_stage_look_ahead(stages[0], bufs[0], stages[1], bufs[1]);
    for (size_t i = 0; i < 2; i++) {
        struct sl_span rest = {letters, n[i] - bufs[i]->len};
        assert_int_equal(sl_stage_push(stages[i], &bufs[i], NULL), 0);
        ret[i] = sl_stage_harness_run(&h[i], &stages[i], rest, long_cuts[1], NULL);
        sl_stage_harness_close(&h[i]);
    }
}

static void looked_ahead_counts_once_in_each_sum(void **state)
{
    (void)state;
    const size_t firsts[] = {1, 63, 64, 1000, 200000};
    const char *const both[2] = {million_sha256, million_sha256};
    const char *const mixed[2] = {million_sha512, million_sha256};
    const char *const mixed_too[2] = {million_sha256, million_sha512};
    const char *const one_wrong[2] = {million_sha256, empty_sha256};
    const char *const one_empty[2] = {empty_sha256, million_sha256};
    int r[2];
    for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
        run_two(both, firsts[i], (const size_t[]){N_LETTERS, N_LETTERS}, r);
        assert_int_equal(r[0] | r[1], 0);
        run_two(mixed, firsts[i], (const size_t[]){N_LETTERS, N_LETTERS}, r);
        assert_int_equal(r[0] | r[1], 0);
        run_two(mixed_too, firsts[i], (const size_t[]){N_LETTERS, N_LETTERS}, r);
        assert_int_equal(r[0] | r[1], 0);
        run_two(one_wrong, firsts[i], (const size_t[]){N_LETTERS, N_LETTERS}, r);
        assert_int_equal(r[0], 0);
        assert_int_equal(r[1], -EBADMSG);
        run_two(one_empty, firsts[i], (const size_t[]){0, N_LETTERS}, r);
        assert_int_equal(r[0] | r[1], 0);
    }
}

int main(void)
{
    memset(letters, 'a', sizeof(letters));
    const struct CMUnitTest tests[] = {
        CASE(blob_right_bytes_pass),
        CASE(byte_by_byte_passes),
        CASE(blob_empty_passes),
        CASE(blob_wrong_bytes_fail_at_the_end),
        CASE(blob_one_byte_too_long_fails_at_that_byte),
        CASE(blob_too_long_hands_on_nothing_of_that_buffer),
        CASE(blob_short_fails_with_both_sizes),
        CASE(diff_id_sha256_and_sha512_pass),
        CASE(diff_id_mismatch_has_the_known_text),
        cmocka_unit_test(looked_ahead_counts_once_in_each_sum),
        cmocka_unit_test(summary_tells_digest_and_size_of_what_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
