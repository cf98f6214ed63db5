/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The crypto side of a layer and of its keys against OpenSSL in as many passes as there are sums.
 * All but the running sums of pair/ and two/ check what they compute. Bytes are those of the
 * message.
 */
#include "aes_open.h"
#include "aes_seal.h"
#include "bench_case.h"
#include "bench_stage.h"
#include "openssl_rival.h"
#include "sha256_blocks.h"
#include "stage_decrypt.h"

#include <stdlib.h>
#include <string.h>

enum { KIB = 1024, MIB = 1024 * 1024, N_BUFFERS = 1, SUM_SIZE = 32, SEALED_MAX = 240 * 1024 };

/* Any: speed does not depend on it. */
static const struct sl_layer_key key = {.lek = {1, 2, 3}, .nonce = {4, 5, 6}, .protocol = "jwe"};

struct crypto_run {
    struct openssl_rival openssl;
    struct sl_bench_lanes lanes;
    uint8_t *data;             /* the message */
    uint8_t *to;               /* of the same size, for a rival's output, and a tag */
    struct sl_bytes sealed;    /* of gcm/ */
    struct sl_blob_sums *sums; /* of pair/, as are the digest and the HMAC of openssl */
    uint32_t states[2][8];     /* of two/: any */
    struct sl_digest digest;
    uint8_t hmac[SL_HMAC_SIZE];
};

static struct sl_span key_span(void)
{
    return (struct sl_span){key.lek, sizeof(key.lek)};
}

static struct sl_span iv_span(size_t len)
{
    return (struct sl_span){key.nonce, len};
}

static struct sl_span message(const struct sl_bench_run *run)
{
    const struct crypto_run *s = run->state;
    return (struct sl_span){s->data, run->bytes};
}

static void tear_down(struct sl_bench_run *run)
{
    struct crypto_run *s = run->state;
    (void)sl_blob_sums_free(s->sums);
    openssl_rival_done(&s->openssl);
    sl_bench_lanes_done(&s->lanes);
    sl_bytes_done(&s->sealed);
    free(s->data);
    free(s->to);
    free(s);
}

/* What a run must come to, by OpenSSL. */
static int expect(struct crypto_run *s, struct sl_span bytes)
{
    struct openssl_rival *o = &s->openssl;
    s->digest.alg = SL_SHA256;
    int r = openssl_rival_digest_begin(o);
    r = r ? r : openssl_rival_digest(o, bytes);
    r = r ? r : openssl_rival_digest_end(o, s->digest.bytes);
    r = r ? r : openssl_rival_hmac_begin(o, key.lek);
    r = r ? r : openssl_rival_hmac(o, bytes);
    return r ? r : openssl_rival_hmac_end(o, s->hmac);
}

static int fill(struct crypto_run *s, size_t bytes, struct sl_error *err)
{
    s->data = malloc(bytes);
    s->to = calloc(1, bytes + SL_GCM_TAG_SIZE);
    if (!s->data || !s->to)
        return sl_error_oom(err);
    for (size_t i = 0; i < bytes; i++)
        s->data[i] = (uint8_t)(i * 167 + (i >> 8) * 13);
    const struct sl_span text = {s->data, bytes};
    int r = openssl_rival_init(&s->openssl, err);
    r = r ? r : expect(s, text);
    if (r || bytes > SEALED_MAX)
        return r;
    return sl_aes_gcm_seal(key_span(), iv_span(SL_GCM_IV_SIZE), (struct sl_span){0}, text,
                           &s->sealed, err);
}

static int begin_sums(struct crypto_run *s, struct sl_error *err)
{
    int r = openssl_rival_digest_begin(&s->openssl);
    r = r ? r : openssl_rival_hmac_begin(&s->openssl, key.lek);
    if (r < 0)
        return sl_error_set(err, SL_E_SYSTEM, EIO, "OpenSSL cannot begin its sums");
    return sl_blob_sums_new(SL_SUMS_BEST, SL_SHA256, key.lek, &s->sums, err);
}

static int set_up(const struct sl_bench_case *c, struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    *run = (struct sl_bench_run){.state = s, .bytes = sl_bench_size(c->detail)};
    int r = fill(s, run->bytes, err);
    r = r ? r : begin_sums(s, err);
    r = r ? r : sl_bench_lanes_open(N_BUFFERS, /* n_out= */ 0, &s->lanes, err);
    if (r < 0)
        tear_down(run);
    return r;
}

static int done(int r, const char *what, struct sl_error *err)
{
    return r == 0 ? 0 : sl_error_set(err, SL_E_SYSTEM, EIO, "%s went wrong", what);
}

/* ---- one primitive ---- */

static int ctr_sluice(struct sl_bench_run *run, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) plain = {0};
    return sl_aes_ctr_open(key_span(), iv_span(SL_CTR_IV_SIZE), message(run), &plain, err);
}

static int ctr_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    int r = openssl_rival_ctr_begin(&s->openssl, key.lek, key.nonce);
    r = r ? r : openssl_rival_ctr(&s->openssl, message(run), s->to);
    return done(r, "AES-256-CTR", err);
}

static int gcm_sluice(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    SL_AUTO_DONE(sl_bytes) plain = {0};
    return sl_aes_gcm_open_appended(key_span(), iv_span(SL_GCM_IV_SIZE), sl_bytes_span(&s->sealed),
                                    &plain, err);
}

static int gcm_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    int r =
        openssl_rival_gcm_open(&s->openssl, key.lek, key.nonce, sl_bytes_span(&s->sealed), s->to);
    return done(r, "AES-256-GCM", err);
}

static int digest_sluice(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    return sl_digest_verify(&s->digest, message(run), err);
}

static int digest_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    uint8_t sum[SUM_SIZE];
    int r = openssl_rival_digest_begin(&s->openssl);
    r = r ? r : openssl_rival_digest(&s->openssl, message(run));
    r = r ? r : openssl_rival_digest_end(&s->openssl, sum);
    return done(r || memcmp(sum, s->digest.bytes, sizeof(sum)) != 0, "SHA-256", err);
}

/* ---- two sums: running ones, since a layer is long and begins once ---- */

static int pair_fused(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    return sl_blob_sums_update(s->sums, message(run), err);
}

static int hmac_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    return done(openssl_rival_hmac(&s->openssl, message(run)), "HMAC-SHA-256", err);
}

static int pair_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    int r = done(openssl_rival_digest(&s->openssl, message(run)), "SHA-256", err);
    return r ? r : hmac_openssl(run, err);
}

/* ---- two messages: the halves of the message ---- */

static int two_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    const struct sl_span first = {s->data, run->bytes / 2};
    const struct sl_span second = {s->data + run->bytes / 2, run->bytes / 2};
    int r = openssl_rival_digest(&s->openssl, first);
    return done(r ? r : openssl_rival_digest(&s->openssl, second), "SHA-256", err);
}

/* Where there is no kernel for two, layers are hashed one after the other. */
static int two_fused(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    if (!sl_sha256_is_supported())
        return two_openssl(run, err);
    sl_sha256_two_blocks(s->states[0], s->data, s->states[1], s->data + run->bytes / 2,
                         run->bytes / 2 / SL_SHA256_BLOCK);
    return 0;
}

/* ---- what a layer passes ---- */

static int push(struct sl_bench_run *run, struct sl_stage *stage, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    run->peak_bytes = sl_buf_pool_peak(s->lanes.pool) * SL_BUF_SIZE;
    return sl_bench_push_all(&s->lanes, stage, message(run), /* piece= */ 0, err);
}

static int decrypt_stage(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_stage_decrypt_new(&key, s->hmac, &s->digest, run->bytes, &stage, err);
    return r ? r : push(run, stage, err);
}

static int three_updates(struct openssl_rival *o, struct sl_buf *buf)
{
    int r = openssl_rival_digest(o, sl_buf_span(buf));
    r = r ? r : openssl_rival_hmac(o, sl_buf_span(buf));
    return r ? r : openssl_rival_ctr(o, sl_buf_span(buf), buf->data);
}

/* Through one buffer as well: no layer lies in memory whole. */
static int decrypt_openssl(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    struct openssl_rival *o = &s->openssl;
    uint8_t sum[SUM_SIZE], mac[SL_HMAC_SIZE];
    struct sl_buf *buf = sl_buf_acquire(s->lanes.in);
    int r = openssl_rival_digest_begin(o);
    r = r ? r : openssl_rival_hmac_begin(o, key.lek);
    r = r ? r : openssl_rival_ctr_begin(o, key.lek, key.nonce);
    for (size_t at = 0; r == 0 && at < run->bytes; at += buf->len) {
        buf->len = run->bytes - at < buf->cap ? run->bytes - at : buf->cap;
        memcpy(buf->data, s->data + at, buf->len);
        r = three_updates(o, buf);
    }
    sl_buf_release(&buf);
    r = r ? r : openssl_rival_digest_end(o, sum);
    r = r ? r : openssl_rival_hmac_end(o, mac);
    run->peak_bytes = sl_buf_pool_peak(s->lanes.pool) * SL_BUF_SIZE;
    bool is_right =
        r == 0 && !memcmp(sum, s->digest.bytes, sizeof(sum)) && !memcmp(mac, s->hmac, sizeof(mac));
    return done(is_right ? 0 : -EIO, "decryption in three passes", err);
}

static int diff_id_stage(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_stage_diff_id_new(&s->digest, &stage, err);
    return r ? r : push(run, stage, err);
}

static int blob_stage(struct sl_bench_run *run, struct sl_error *err)
{
    struct crypto_run *s = run->state;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_stage_blob_digest_new(&s->digest, run->bytes, &stage, err);
    return r ? r : push(run, stage, err);
}

#define RIVAL(what, run_, size_name, size)                                                         \
    {                                                                                              \
        "crypto/" what "/openssl/" size_name, {NULL}, SL_BENCH_CPU, 0, size, set_up, run_,         \
            tear_down, NULL                                                                        \
    }
#define OURS(what, how, run_, size_name, size, ...)                                                \
    {                                                                                              \
        "crypto/" what "/" how "/" size_name,                                                      \
            {"crypto/" what "/openssl/" size_name, ##__VA_ARGS__}, SL_BENCH_CPU, 0, size, set_up,  \
            run_, tear_down, NULL                                                                  \
    }
#define PRIMITIVES(size_name, size)                                                                \
    OURS("ctr", "sluice", ctr_sluice, size_name, size),                                            \
        RIVAL("ctr", ctr_openssl, size_name, size),                                                \
        OURS("gcm", "sluice", gcm_sluice, size_name, size),                                        \
        RIVAL("gcm", gcm_openssl, size_name, size)
#define SUMS(size_name, size)                                                                      \
    OURS("digest", "sluice", digest_sluice, size_name, size),                                      \
        RIVAL("digest", digest_openssl, size_name, size),                                          \
        OURS("pair", "fused", pair_fused, size_name, size, "crypto/hmac/openssl/" size_name),      \
        RIVAL("pair", pair_openssl, size_name, size),                                              \
        RIVAL("hmac", hmac_openssl, size_name, size),                                              \
        OURS("two", "fused", two_fused, size_name, size),                                          \
        RIVAL("two", two_openssl, size_name, size)

/* ctr/ and gcm/ open wrapped keys, of which 256 KiB is the largest; the CTR of layers is part of
 * decrypt/. hmac/ alone is nobody's but the bound of pair/: two sums for the price of one. */
static const struct sl_bench_case cases[] = {
    PRIMITIVES("4KiB", 4 * KIB),
    PRIMITIVES("64KiB", 64 * KIB),
    PRIMITIVES("240KiB", 240 * KIB),
    SUMS("4KiB", 4 * KIB),
    SUMS("64KiB", 64 * KIB),
    SUMS("1MiB", MIB),
    OURS("decrypt", "stage", decrypt_stage, "64KiB", 64 * KIB),
    RIVAL("decrypt", decrypt_openssl, "64KiB", 64 * KIB),
    OURS("decrypt", "stage", decrypt_stage, "1MiB", MIB),
    RIVAL("decrypt", decrypt_openssl, "1MiB", MIB),
    OURS("decrypt", "stage", decrypt_stage, "64MiB", 64 * MIB),
    RIVAL("decrypt", decrypt_openssl, "64MiB", 64 * MIB),
    {"crypto/diff_id/stage/1MiB",
     {"crypto/digest/openssl/1MiB"},
     SL_BENCH_CPU,
     0,
     MIB,
     set_up,
     diff_id_stage,
     tear_down,
     NULL},
    {"crypto/blob/stage/1MiB",
     {"crypto/digest/openssl/1MiB"},
     SL_BENCH_CPU,
     0,
     MIB,
     set_up,
     blob_stage,
     tear_down,
     NULL},
};

const struct sl_bench_table sl_bench_crypto = {cases, sizeof(cases) / sizeof(cases[0])};
