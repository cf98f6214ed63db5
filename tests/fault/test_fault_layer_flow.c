/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path of a layer, on real workers, with too little memory: blob digest, MAC and
 * decryption, inflation, diff_id, unpacking. Whatever is missing when, the flow ends once, every
 * buffer comes home, and nothing of the tree stays.
 */
#include "alloc_fault.h"

#include "sluice/core/flow.h"
#include "sluice/decompress.h"
#include "sluice/layer_crypto.h"
#include "sluice/untar.h"

#include "decompress_check.h"
#include "store_fixture.h"

#include "private_tmpfs.h"

#include <fts.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <semaphore.h>

#define CORPUS SL_TEST_DATA "/../../fuzz/corpus/tar_reader/"

enum { POOL_BUFFERS = 8, LANE_BUFFERS = 4, PIECE = 700 };

struct bench {
    struct store_fixture *f;
    struct sl_worker_pool *workers;
    struct sl_buf_pool *pool;
    enum sl_flow_cut cut;
    /* The layer */
    struct sl_bytes blob; /* encrypted */
    struct sl_layer_key key;
    uint8_t hmac[SL_HMAC_SIZE];
    struct sl_digest digest, diff_id;
    unsigned n_entries; /* that fts finds in its tree; 0: not known yet */
};

/* One way of a layer through the stages. */
struct passage {
    struct sl_buf_lane *in, *out;
    struct sl_staged_layer *staged;
    struct sl_flow *flow;
    sem_t done;
    int result;
    struct sl_error error;
};

static void on_done(void *arg, int r, const struct sl_error *err)
{
    struct passage *p = arg;
    p->result = r;
    p->error = *err;
    assert_int_equal(sem_post(&p->done), 0);
}

/* r is what the maker of the stage said. */
static int add(struct bench *b, struct passage *p, int r, struct sl_stage **stagep,
               struct sl_error *err)
{
    return r < 0 ? r : sl_flow_add(p->flow, stagep, b->cut, err);
}

static int build(struct bench *b, struct passage *p, struct sl_error *err)
{
    struct sl_stage *stage = NULL;
    int r = sl_stage_decrypt_new(&b->key, b->hmac, &b->digest, b->blob.len, &stage, err);
    r = add(b, p, r, &stage, err);
    if (r == 0)
        r = add(b, p, sl_stage_decompress_new(p->out, NULL, &stage, err), &stage, err);
    if (r == 0)
        r = add(b, p, sl_stage_diff_id_new(&b->diff_id, &stage, err), &stage, err);
    if (r == 0)
        r = add(b, p, sl_stage_untar_new(p->staged, NULL, &stage, err), &stage, err);
    if (r == 0)
        sl_flow_bind_lane(p->flow, p->out);
    return r;
}

static int open_passage(struct bench *b, struct passage *p, struct sl_error *err)
{
    const struct sl_flow_events events = {.done = on_done, .arg = p};
    int r = sl_buf_lane_open(b->pool, LANE_BUFFERS, &p->in, err);
    if (r == 0)
        r = sl_buf_lane_open(b->pool, LANE_BUFFERS, &p->out, err);
    if (r == 0)
        r = sl_staged_layer_new(b->f->store, &p->staged, err);
    if (r == 0)
        r = sl_flow_new(b->workers, &events, &p->flow, err);
    return r == 0 ? build(b, p, err) : r;
}

static void wake_source(void *arg)
{
    assert_int_equal(sem_post(arg), 0);
}

/* The source: small pieces, so that the stages meet cuts. */
static void feed(struct bench *b, struct passage *p)
{
    sem_t home;
    assert_int_equal(sem_init(&home, 0, 0), 0);
    sl_buf_lane_set_waker(p->in, wake_source, &home);
    for (size_t at = 0; at < b->blob.len && !sl_flow_has_failed(p->flow);) {
        struct sl_buf *buf = sl_buf_acquire(p->in);
        if (!buf) {
            assert_int_equal(sem_wait(&home), 0);
            continue;
        }
        buf->len = b->blob.len - at < PIECE ? b->blob.len - at : PIECE;
        memcpy(buf->data, b->blob.data + at, buf->len);
        at += buf->len;
        sl_flow_feed(p->flow, &buf);
    }
    sl_flow_end(p->flow, 0, NULL);
    assert_int_equal(sem_wait(&p->done), 0);
    sl_buf_lane_set_waker(p->in, NULL, NULL);
    assert_int_equal(sem_destroy(&home), 0);
}

/* As large as the one that had all memory. */
static void check_tree(struct bench *b, const struct sl_staged_layer *staged)
{
    unsigned n = 0;
    SL_AUTO_FREE char *path = sl_strf("/proc/self/fd/%d/.", sl_staged_layer_fd(staged));
    char *roots[] = {path, NULL};
    FTS *walk = fts_open(roots, FTS_PHYSICAL, NULL);
    while (fts_read(walk))
        n++;
    assert_int_equal(fts_close(walk), 0);
    if (!b->n_entries)
        b->n_entries = n;
    assert_int_equal(n, b->n_entries);
}

static int pass_once(void *arg, struct sl_error *err)
{
    struct bench *b = arg;
    struct passage p = {0};
    assert_int_equal(sem_init(&p.done, 0, 0), 0);
    int r = open_passage(b, &p, err);
    if (r == 0) {
        sl_flow_start(p.flow);
        feed(b, &p);
        r = p.result;
        if (err)
            *err = p.error;
        assert_int_not_equal(sem_trywait(&p.done), 0); /* reported once */
    }
    sl_flow_free(p.flow);
    fault_pause();
    if (r == 0)
        check_tree(b, p.staged);
    sl_buf_lane_close(p.in); /* aborts when a buffer is not home */
    sl_buf_lane_close(p.out);
    assert_int_equal(sl_buf_pool_spare(b->pool), POOL_BUFFERS);
    sl_staged_layer_free(p.staged);
    SL_AUTO_FREE char *staging = sl_strf("%s/staging", b->f->root);
    assert_int_equal(rmdir(staging), 0); /* it is empty */
    assert_int_equal(mkdir(staging, 0700), 0);
    fault_resume();
    assert_int_equal(sem_destroy(&p.done), 0);
    return r;
}

static void hash(struct sl_bytes *b, struct sl_digest *ret)
{
    *ret = (struct sl_digest){.alg = SL_SHA256};
    unsigned len = 32;
    assert_int_equal(EVP_Digest(b->data, b->len, ret->bytes, &len, EVP_sha256(), NULL), 1);
}

/* As ocicrypt does it, by OpenSSL itself: CTR, and HMAC over the ciphertext. */
static void encrypt(struct bench *b)
{
    int len = 0;
    unsigned mac_len = SL_HMAC_SIZE;
    memset(b->key.lek, 0x11, sizeof(b->key.lek));
    memset(b->key.nonce, 0x22, sizeof(b->key.nonce));
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_ctr(), NULL, b->key.lek, b->key.nonce), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, b->blob.data, &len, b->blob.data, (int)b->blob.len), 1);
    EVP_CIPHER_CTX_free(ctx);
    assert_non_null(
        HMAC(EVP_sha256(), b->key.lek, SL_LEK_SIZE, b->blob.data, b->blob.len, b->hmac, &mac_len));
    hash(&b->blob, &b->digest);
}

static void layer_at_every_fault(struct bench *b, const char *name, bool zstd)
{
    SL_AUTO_DONE(sl_bytes) tar = {0};
    SL_AUTO_FREE char *path = sl_strf(CORPUS "%s", name);
    assert_int_equal(sl_read_file(AT_FDCWD, path, 1 << 20, &tar, NULL), 0);
    hash(&tar, &b->diff_id);
    if (zstd)
        sl_test_zstd(&b->blob, sl_bytes_span(&tar), 3, 0);
    else
        sl_test_gzip(&b->blob, sl_bytes_span(&tar), 0, NULL);
    encrypt(b);
    b->n_entries = 0;
    print_message("%s: ", name);
    fault_each_allocation(pass_once, b, 12);
    sl_bytes_done(&b->blob);
}

static const char *const layers[] = {
    "dir-onto-dir-keeps-content",
    "file-over-hardlink-keeps-the-other",
    "gnu-long-name",
    "implicit-parents",
    "opaque-worked-example",
    "parent-symlink-climbs-stays-inside",
    "pax-all",
    "sparse-gnu-extensions",
    "sparse-pax-1.0",
    "whiteout-after-opaque-below",
    "xattr-capability-survives",
};

static void layer_on_many_workers_without_memory_fails(void **state)
{
    struct bench *b = *state;
    b->cut = SL_NEW_SEGMENT;
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++)
        layer_at_every_fault(b, layers[i], /* zstd= */ i % 2);
}

static void layer_in_one_segment_without_memory_fails(void **state)
{
    struct bench *b = *state;
    b->cut = SL_SAME_SEGMENT;
    layer_at_every_fault(b, layers[0], /* zstd= */ false);
    layer_at_every_fault(b, layers[1], /* zstd= */ true);
}

static int set_up(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->f = fixture_new(PRIVATE_TMPFS, "root");
    assert_int_equal(sl_worker_pool_new(3, &b->workers, NULL), 0);
    assert_int_equal(sl_buf_pool_new((size_t)POOL_BUFFERS * SL_BUF_SIZE, &b->pool, NULL), 0);
    *state = b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    sl_worker_pool_free(b->workers);
    sl_buf_pool_free(b->pool);
    fixture_free(b->f);
    free(b);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_on_many_workers_without_memory_fails),
        cmocka_unit_test(layer_in_one_segment_without_memory_fails),
    };
    if (!private_tmpfs_mount())
        return 77;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
