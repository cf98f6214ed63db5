/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole data path of layers, from a blob in memory to a tree on a tmpfs: the stages of
 * pipeline/pull_layer.c, joined by flows on a pool of workers. Bytes are those of the plain tars;
 * with several layers each is the whole tar. The rival "steps" does the same work in one thread,
 * one pass after the other over the whole layer: OpenSSL for each sum and for CTR, isa-l or zstd,
 * libarchive.
 */
#include "archive_rival.h"
#include "bench_case.h"
#include "bench_data.h"
#include "bench_place.h"
#include "bench_staged.h"
#include "openssl_rival.h"

#include "sluice/core/flow.h"
#include "sluice/decompress.h"
#include "sluice/layer_crypto.h"
#include "sluice/untar.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

enum {
    LAYERS_MAX = 8,
    /* As in pipeline/pull_layer.c. */
    BLOB_BUFFERS = 8,
    PLAIN_BUFFERS = 12,
    STEP_BUFFER = 256 * 1024,
    ENCRYPTED = 1 << 8, /* beside a format, in a case's variant */
};

static const struct sl_layer_key key = {.lek = {1, 2, 3}, .nonce = {4, 5, 6}, .protocol = "jwe"};

struct path_run;

struct path_layer {
    struct path_run *run;
    struct sl_buf_lane *blob_lane, *plain_lane;
    struct sl_flow *flow;
    struct sl_bench_staged staged;
    size_t at;       /* bytes of the blob that were fed */
    bool is_ended;   /* the flow was told so */
    bool is_through; /* under the lock; with the two below */
    int result;
    struct sl_error err;
};

struct path_run {
    struct sl_span blob, plain;
    struct sl_bytes encrypted; /* the blob, if it is */
    struct sl_digest blob_digest, diff_id;
    uint8_t hmac[SL_HMAC_SIZE];
    int format; /* without ENCRYPTED */
    bool is_encrypted;
    struct openssl_rival openssl;
    struct sl_bench_place place;
    /* Of the flows. */
    struct sl_worker_pool *workers;
    struct sl_buf_pool *pool;
    struct path_layer layers[LAYERS_MAX];
    size_t n_layers;
    pthread_mutex_t lock;
    pthread_cond_t bell; /* a buffer came home, or a flow is through */
    bool has_rung;
    /* Of the steps; touched when they run. */
    uint8_t *decrypted, *inflated;
};

static int digest_of(struct openssl_rival *o, struct sl_span bytes, struct sl_digest *ret)
{
    ret->alg = SL_SHA256;
    int r = openssl_rival_digest_begin(o);
    r = r ? r : openssl_rival_digest(o, bytes);
    return r ? r : openssl_rival_digest_end(o, ret->bytes);
}

static int hmac_of(struct openssl_rival *o, struct sl_span bytes, uint8_t ret[SL_HMAC_SIZE])
{
    int r = openssl_rival_hmac_begin(o, key.lek);
    r = r ? r : openssl_rival_hmac(o, bytes);
    return r ? r : openssl_rival_hmac_end(o, ret);
}

/* ---- set-up ---- */

static void ring(void *arg)
{
    struct path_run *s = arg;
    pthread_mutex_lock(&s->lock);
    s->has_rung = true;
    pthread_cond_signal(&s->bell);
    pthread_mutex_unlock(&s->lock);
}

static void tear_down(struct sl_bench_run *run)
{
    struct path_run *s = run->state;
    s->workers = sl_worker_pool_free(s->workers);
    for (size_t i = 0; i < LAYERS_MAX; i++) {
        (void)sl_buf_lane_close(s->layers[i].blob_lane);
        (void)sl_buf_lane_close(s->layers[i].plain_lane);
    }
    (void)sl_buf_pool_free(s->pool);
    sl_bench_place_close(&s->place);
    openssl_rival_done(&s->openssl);
    sl_bytes_done(&s->encrypted);
    free(s->decrypted);
    free(s->inflated);
    pthread_cond_destroy(&s->bell);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* CTR is its own inverse. */
static int encrypt(struct path_run *s, struct sl_error *err)
{
    s->encrypted = (struct sl_bytes){.data = malloc(s->blob.len), .len = s->blob.len};
    if (!s->encrypted.data)
        return sl_error_oom(err);
    int r = openssl_rival_ctr_begin(&s->openssl, key.lek, key.nonce);
    r = r ? r : openssl_rival_ctr(&s->openssl, s->blob, s->encrypted.data);
    s->blob = sl_bytes_span(&s->encrypted);
    r = r ? r : hmac_of(&s->openssl, s->blob, s->hmac);
    return r ? sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL cannot encrypt") : 0;
}

static int make_blob(struct path_run *s, struct sl_error *err)
{
    int r = sl_bench_data_tar(SL_BENCH_MIXED, &s->plain, err);
    r = r ? r : sl_bench_data_stream((enum sl_bench_format)s->format, &s->blob, err);
    r = r ? r : openssl_rival_init(&s->openssl, err);
    if (r == 0 && s->is_encrypted)
        r = encrypt(s, err);
    r = r ? r : sl_digest_of(SL_SHA256, s->blob, &s->blob_digest, err);
    return r ? r : sl_digest_of(SL_SHA256, s->plain, &s->diff_id, err);
}

static int open_lanes(struct path_run *s, struct sl_error *err)
{
    size_t each = (size_t)(BLOB_BUFFERS + PLAIN_BUFFERS) * SL_BUF_SIZE;
    int r = sl_buf_pool_new(s->n_layers * each, &s->pool, err);
    for (size_t i = 0; r == 0 && i < s->n_layers; i++) {
        struct path_layer *l = &s->layers[i];
        l->run = s;
        r = sl_buf_lane_open(s->pool, BLOB_BUFFERS, &l->blob_lane, err);
        r = r ? r : sl_buf_lane_open(s->pool, PLAIN_BUFFERS, &l->plain_lane, err);
        if (r == 0)
            sl_buf_lane_set_waker(l->blob_lane, ring, s);
    }
    return r;
}

static int set_up(const struct sl_bench_case *c, struct sl_bench_run *run, struct sl_error *err,
                  size_t n_layers)
{
    struct path_run *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    *run = (struct sl_bench_run){.state = s};
    s->format = c->variant & ~ENCRYPTED;
    s->is_encrypted = c->variant & ENCRYPTED;
    s->n_layers = n_layers;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->bell, NULL);
    int r = make_blob(s, err);
    r = r ? r : sl_bench_place_open(SL_BENCH_TMPFS, &s->place, err);
    if (r < 0)
        tear_down(run);
    run->bytes = s->plain.len * n_layers;
    return r;
}

static int cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* detail: layers * 256 + workers. */
static int flow_set_up(const struct sl_bench_case *c, struct sl_bench_run *run,
                       struct sl_error *err)
{
    unsigned workers = c->detail % 256;
    if (!sl_bench_smoke && (int)workers > cores())
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "this machine has %d cores", cores());
    int r = set_up(c, run, err, c->detail / 256);
    if (r < 0)
        return r;
    struct path_run *s = run->state;
    r = open_lanes(s, err);
    r = r ? r : sl_worker_pool_new(workers, &s->workers, err);
    if (r < 0)
        tear_down(run);
    return r;
}

static int steps_set_up(const struct sl_bench_case *c, struct sl_bench_run *run,
                        struct sl_error *err)
{
    int r = set_up(c, run, err, /* n_layers= */ 1);
    if (r < 0)
        return r;
    struct path_run *s = run->state;
    s->decrypted = malloc(s->blob.len);
    s->inflated = malloc(s->plain.len);
    if (s->decrypted && s->inflated)
        return 0;
    tear_down(run);
    return sl_error_oom(err);
}

static int reset(struct sl_bench_run *run, struct sl_error *err)
{
    struct path_run *s = run->state;
    return sl_bench_place_reset(&s->place, err);
}

/* ---- flows ---- */

static void on_through(void *arg, int r, const struct sl_error *err)
{
    struct path_layer *l = arg;
    struct path_run *s = l->run;
    pthread_mutex_lock(&s->lock);
    l->result = r;
    if (r < 0)
        l->err = *err;
    l->is_through = true;
    s->has_rung = true;
    pthread_cond_signal(&s->bell);
    pthread_mutex_unlock(&s->lock);
}

static void on_stop_source(void *arg)
{
    ring(((struct path_layer *)arg)->run);
}

static int make_stage(struct path_layer *l, int i, struct sl_stage **ret, struct sl_error *err)
{
    const struct path_run *s = l->run;
    switch (i) {
    case 0:
        return s->is_encrypted
                   ? sl_stage_decrypt_new(&key, s->hmac, &s->blob_digest, s->blob.len, ret, err)
                   : sl_stage_blob_digest_new(&s->blob_digest, s->blob.len, ret, err);
    case 1:
        return sl_stage_decompress_new(l->plain_lane, /* limits= */ NULL, ret, err);
    case 2:
        return sl_stage_diff_id_new(&s->diff_id, ret, err);
    default:
        return sl_stage_untar_new(&l->staged.layer, /* options= */ NULL, ret, err);
    }
}

static int open_tree(struct path_layer *l, size_t i, struct sl_error *err)
{
    char name[16];
    int root = l->run->place.root_fd;
    (void)snprintf(name, sizeof(name), "%zu", i);
    sl_bench_staged_init(&l->staged, -1);
    if (mkdirat(root, name, 0755) == 0)
        l->staged.layer.fs = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return l->staged.layer.fs < 0 ? sl_error_set(err, SL_E_SYSTEM, errno, "cannot make %s", name)
                                  : 0;
}

static int start(struct path_layer *l, size_t i, struct sl_error *err)
{
    const struct sl_flow_events events = {
        .done = on_through, .stop_source = on_stop_source, .arg = l};
    l->at = 0;
    l->is_ended = l->is_through = false;
    l->result = 0;
    int r = open_tree(l, i, err);
    r = r ? r : sl_flow_new(l->run->workers, &events, &l->flow, err);
    for (int n = 0; r == 0 && n < 4; n++) {
        SL_AUTO(sl_stage) stage = NULL;
        r = make_stage(l, n, &stage, err);
        r = r ? r : sl_flow_add(l->flow, &stage, SL_NEW_SEGMENT, err);
    }
    if (r == 0) {
        sl_flow_bind_lane(l->flow, l->plain_lane);
        sl_flow_start(l->flow);
    }
    return r;
}

/* As much as there are buffers for. */
static void feed(struct path_layer *l)
{
    const struct sl_span blob = l->run->blob;
    struct sl_buf *buf;
    if (l->is_ended)
        return;
    while (l->at < blob.len && !sl_flow_has_failed(l->flow) &&
           (buf = sl_buf_acquire(l->blob_lane))) {
        size_t left = blob.len - l->at;
        buf->len = left < buf->cap ? left : buf->cap;
        memcpy(buf->data, blob.data + l->at, buf->len);
        l->at += buf->len;
        sl_flow_feed(l->flow, &buf);
    }
    l->is_ended = l->at == blob.len || sl_flow_has_failed(l->flow);
    if (l->is_ended)
        sl_flow_end(l->flow, 0, NULL);
}

static bool all_through(struct path_run *s, size_t n)
{
    bool all = true;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < n; i++)
        all = all && s->layers[i].is_through;
    while (!all && !s->has_rung)
        pthread_cond_wait(&s->bell, &s->lock);
    s->has_rung = false;
    pthread_mutex_unlock(&s->lock);
    return all;
}

/* Layers that could be started are always run to their end. */
static int run_flows(struct sl_bench_run *run, struct sl_error *err)
{
    struct path_run *s = run->state;
    size_t n = 0;
    int r = 0;
    while (r == 0 && n < s->n_layers)
        r = start(&s->layers[n], n, err), n += r == 0;
    do
        for (size_t i = 0; i < n; i++)
            feed(&s->layers[i]);
    while (!all_through(s, n));
    for (size_t i = 0; i < s->n_layers; i++) {
        struct path_layer *l = &s->layers[i];
        l->flow = sl_flow_free(l->flow);
        sl_bench_staged_done(&l->staged);
        sl_cleanup_fdp(&l->staged.layer.fs);
        l->staged.layer.fs = -1;
        if (r == 0 && l->result < 0) {
            *err = l->err;
            r = l->result;
        }
    }
    run->peak_bytes = sl_buf_pool_peak(s->pool) * SL_BUF_SIZE;
    return r;
}

/* ---- steps ---- */

static int inflate_all(const struct path_run *s, struct sl_span from)
{
    if (s->format != SL_BENCH_GZIP)
        return ZSTD_decompress(s->inflated, s->plain.len, from.data, from.len) == s->plain.len
                   ? 0
                   : -EIO;
    SL_AUTO_FREE struct inflate_state *z = malloc(sizeof(*z));
    if (!z)
        return -ENOMEM;
    isal_inflate_init(z);
    z->crc_flag = ISAL_GZIP;
    z->next_in = (uint8_t *)from.data; /* isa-l only reads it */
    z->avail_in = (uint32_t)from.len;
    z->next_out = s->inflated;
    z->avail_out = (uint32_t)s->plain.len;
    return isal_inflate_stateless(z) == ISAL_DECOMP_OK && z->total_out == s->plain.len ? 0 : -EIO;
}

static int decrypt_all(struct path_run *s)
{
    uint8_t mac[SL_HMAC_SIZE];
    int r = hmac_of(&s->openssl, s->blob, mac);
    r = r ? r : openssl_rival_ctr_begin(&s->openssl, key.lek, key.nonce);
    r = r ? r : openssl_rival_ctr(&s->openssl, s->blob, s->decrypted);
    return r == 0 && memcmp(mac, s->hmac, sizeof(mac)) == 0 ? 0 : -EIO;
}

static int run_steps(struct sl_bench_run *run, struct sl_error *err)
{
    struct path_run *s = run->state;
    struct sl_span text = s->blob;
    struct sl_digest blob, diff_id;
    int r = digest_of(&s->openssl, text, &blob);
    if (r == 0 && s->is_encrypted) {
        r = decrypt_all(s);
        text.data = s->decrypted;
    }
    if (r == 0 && s->format != SL_BENCH_PLAIN) {
        r = inflate_all(s, text);
        text = (struct sl_span){s->inflated, s->plain.len};
    }
    r = r ? r : digest_of(&s->openssl, text, &diff_id);
    if (r || !sl_digest_is_equal(&blob, &s->blob_digest) ||
        !sl_digest_is_equal(&diff_id, &s->diff_id))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "a step went wrong");
    SL_AUTO_FREE uint8_t *buf = malloc(STEP_BUFFER);
    return buf ? archive_rival_unpack(text, s->place.root_fd, buf, STEP_BUFFER, err)
               : sl_error_oom(err);
}

#define FLOW(kind, what, variant, layers, how, workers, ...)                                       \
    {                                                                                              \
        "layer_path/" kind "/" what "/" how, {__VA_ARGS__}, SL_BENCH_WALL, variant,                \
            (layers)*256 + (workers), flow_set_up, run_flows, tear_down, reset                     \
    }
#define STEPS(kind) "layer_path/" kind "/steps"
#define ALONE(kind) "layer_path/" kind "/1_layer/1_worker"
#define KIND(kind, variant)                                                                        \
    FLOW(kind, "1_layer", variant, 1, "1_worker", 1, STEPS(kind)),                                 \
        FLOW(kind, "1_layer", variant, 1, "2_workers", 2, STEPS(kind), ALONE(kind)),               \
        FLOW(kind, "1_layer", variant, 1, "4_workers", 4, STEPS(kind), ALONE(kind)),               \
    {                                                                                              \
        STEPS(kind), {NULL}, SL_BENCH_WALL, variant, 0, steps_set_up, run_steps, tear_down, reset  \
    }
#define LAYERS(kind, variant, layers, how, workers)                                                \
    FLOW(kind, #layers "_layers", variant, layers, how, workers, STEPS(kind), ALONE(kind))

/* More workers than there are cores are skipped. */
static const struct sl_bench_case cases[] = {
    KIND("plain", SL_BENCH_PLAIN),
    KIND("gzip", SL_BENCH_GZIP),
    KIND("zstd", SL_BENCH_ZSTD_3),
    KIND("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED),
    KIND("encrypted_zstd", SL_BENCH_ZSTD_3 | ENCRYPTED),
    LAYERS("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED, 2, "2_workers", 2),
    LAYERS("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED, 4, "2_workers", 2),
    LAYERS("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED, 8, "2_workers", 2),
    LAYERS("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED, 4, "4_workers", 4),
    LAYERS("encrypted_gzip", SL_BENCH_GZIP | ENCRYPTED, 8, "8_workers", 8),
};

const struct sl_bench_table sl_bench_layer_path = {cases, sizeof(cases) / sizeof(cases[0])};
