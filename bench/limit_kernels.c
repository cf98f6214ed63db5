/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a layer's sums cost, its cipher and its decompression, one after the other, from memory. Of
 * our own code and the libraries' the faster counts: a bound that only we set would be ours to
 * miss.
 */
#include "layer_cipher.h"
#include "limit_parts.h"

#include "sluice/core/openssl_auto.h"
#include "sluice/decompress.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zstd.h>

enum {
    IN_BUFFERS = 1,
    OUT_BUFFERS = 2, /* few: they stay in the cache, as far as the machine lets them */
    SLICE = SL_BUF_SIZE,
};

void limit_keep_best(struct limit_cost *best, const struct limit_cost *other)
{
    if (!best->by || other->cpu < best->cpu)
        *best = *other;
}

/* ---- stages from memory, to memory ---- */

struct keeper {
    struct sl_stage stage;
    struct sl_bytes *to;
    size_t limit;
    double *spent;
};

static double thread_cpu(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int keeper_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct keeper *k = (struct keeper *)stage;
    double before = thread_cpu();
    int r = sl_bytes_append(k->to, sl_buf_span(*bufp), k->limit, err);
    *k->spent += thread_cpu() - before;
    sl_buf_release(bufp);
    return r;
}

static int keeper_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage, (void)err;
    return 0;
}

static void keeper_close(struct sl_stage *stage)
{
    free(stage);
}

static const struct sl_stage_ops keeper_ops = {
    .name = "keep",
    .phase = SL_PHASE_OUT,
    .push = keeper_push,
    .finish = keeper_finish,
    .close = keeper_close,
};

int limit_keeper_new(struct sl_bytes *to, size_t limit, double *spent, struct sl_stage **ret,
                     struct sl_error *err)
{
    struct keeper *k = calloc(1, sizeof(*k));
    if (!k)
        return sl_error_oom(err);
    *k = (struct keeper){.stage.ops = &keeper_ops, .to = to, .limit = limit, .spent = spent};
    *ret = &k->stage;
    return 0;
}

int limit_drive(struct sl_stage *stage, struct sl_span bytes, struct sl_buf_lane *lane,
                struct limit_cost *cost, struct sl_error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < bytes.len;) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        buf->len = bytes.len - at < buf->cap ? bytes.len - at : buf->cap;
        memcpy(buf->data, bytes.data + at, buf->len);
        at += buf->len;
        struct limit_meter since = limit_meter_now();
        r = sl_stage_push(stage, &buf, err);
        limit_meter_add(cost, since);
        sl_buf_release(&buf);
    }
    struct limit_meter since = limit_meter_now();
    if (r == 0)
        r = sl_stage_finish(stage, err);
    limit_meter_add(cost, since);
    return r;
}

/* ---- slices in the cache ---- */

/* In a pull the bytes are there: the step before has just written them. */
struct slices {
    uint8_t *data;  /* of the whole */
    size_t len, at; /* the slice is behind at */
    uint8_t slice[SLICE];
};

/* The next slice, or one of no bytes. */
static size_t next_slice(struct slices *s)
{
    size_t n = s->len - s->at < SLICE ? s->len - s->at : SLICE;
    memcpy(s->slice, s->data + s->at, n);
    s->at += n;
    return n;
}

static struct slices *new_slices(const struct sl_bytes *bytes)
{
    struct slices *s = malloc(sizeof(*s));
    if (s) {
        s->data = bytes->data;
        s->len = bytes->len;
        s->at = 0;
    }
    return s;
}

/* ---- hashes ---- */

static void sum_ours(struct sl_hash *hash, struct slices *s, struct limit_cost *cost)
{
    for (size_t n; (n = next_slice(s));) {
        struct limit_meter since = limit_meter_now();
        sl_hash_update(hash, (struct sl_span){s->slice, n});
        limit_meter_add(cost, since);
    }
}

static bool sum_openssl(EVP_MD_CTX *hash, struct slices *s, struct limit_cost *cost)
{
    bool good = true;
    for (size_t n; good && (n = next_slice(s));) {
        struct limit_meter since = limit_meter_now();
        good = EVP_DigestUpdate(hash, s->slice, n);
        limit_meter_add(cost, since);
    }
    return good;
}

static int measure_ours(const struct sl_digest *expected, const struct sl_bytes *bytes,
                        struct limit_cost *cost, struct sl_error *err)
{
    SL_AUTO(sl_hash) hash = NULL;
    SL_AUTO_FREE struct slices *s = new_slices(bytes);
    struct sl_digest actual;
    int r = s ? sl_hash_new(expected->alg, &hash, err) : sl_error_oom(err);
    if (r < 0)
        return r;
    sum_ours(hash, s, cost);
    sl_hash_final(hash, &actual);
    if (!sl_digest_is_equal(&actual, expected))
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "a digest differs from what was promised");
    return 0;
}

static int measure_openssl(enum sl_digest_alg alg, const struct sl_bytes *bytes,
                           struct limit_cost *cost, struct sl_error *err)
{
    SL_AUTO_FREE struct slices *s = new_slices(bytes);
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    const EVP_MD *md = alg == SL_SHA256 ? EVP_sha256() : EVP_sha512();
    bool good = s && hash && EVP_DigestInit_ex(hash, md, NULL) && sum_openssl(hash, s, cost);
    EVP_MD_CTX_free(hash);
    return good ? 0 : sl_error_set(err, SL_E_SYSTEM, EIO, "openssl computes no digest");
}

/* Verifies, too: what is measured is what was promised. */
static int measure_digest(const struct sl_digest *expected, const struct sl_bytes *bytes,
                          struct limit_cost *best, struct sl_error *err)
{
    struct limit_cost ours = {.by = "sluice"}, openssl = {.by = "openssl"};
    int r = measure_ours(expected, bytes, &ours, err);
    if (r == 0)
        r = measure_openssl(expected->alg, bytes, &openssl, err);
    if (r < 0)
        return r;
    limit_keep_best(best, &ours);
    limit_keep_best(best, &openssl);
    return 0;
}

/* ---- the cipher's side ---- */

static int sum_slice(struct sl_blob_sums *sums, struct sl_span slice, struct limit_cost *cost,
                     struct sl_error *err)
{
    struct limit_meter since = limit_meter_now();
    int r = sl_blob_sums_update(sums, slice, err);
    limit_meter_add(cost, since);
    return r;
}

static int decrypt_slice(EVP_CIPHER_CTX *ctr, struct slices *s, size_t len, struct limit_cost *cost,
                         struct sl_error *err)
{
    int n;
    struct limit_meter since = limit_meter_now();
    int good = EVP_DecryptUpdate(ctr, s->slice, &n, s->slice, (int)len);
    limit_meter_add(cost, since);
    memcpy(s->data + s->at - len, s->slice, len);
    return good ? 0 : sl_error_set(err, SL_E_SYSTEM, EIO, "openssl does not decrypt");
}

static int check_sums(const struct sl_digest *digest, const uint8_t mac[SL_HMAC_SIZE],
                      const struct limit_layer *l, struct sl_error *err)
{
    if (!sl_digest_is_equal(digest, &l->blob->digest) ||
        memcmp(mac, sl_enc_annotations_hmac(l->annotations), SL_HMAC_SIZE) != 0)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "digest or MAC of the blob differs");
    return 0;
}

/* What was summed up is decrypted where it lies. ctr NULL: sums only. */
static int sum_and_decrypt(const struct limit_layer *l, enum sl_blob_sums_kind kind,
                           const struct sl_bytes *blob, EVP_CIPHER_CTX *ctr,
                           struct limit_cost *sums_cost, struct limit_cost *cipher_cost,
                           struct sl_error *err)
{
    SL_AUTO(sl_blob_sums) sums = NULL;
    SL_AUTO_FREE struct slices *s = new_slices(blob);
    int r = s ? sl_blob_sums_new(kind, l->blob->digest.alg, l->key->lek, &sums, err)
              : sl_error_oom(err);
    for (size_t n; r == 0 && (n = next_slice(s));) {
        r = sum_slice(sums, (struct sl_span){s->slice, n}, sums_cost, err);
        if (r == 0 && ctr)
            r = decrypt_slice(ctr, s, n, cipher_cost, err);
    }
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
    r = r < 0 ? r : sl_blob_sums_final(sums, &digest, mac, err);
    return r < 0 ? r : check_sums(&digest, mac, l, err);
}

/* All of it in one pass: what remains to be paid for the cipher once the sums are is its. */
static int measure_one_pass(const struct limit_layer *l, const struct sl_bytes *blob,
                            struct limit_cost *cost, struct sl_error *err)
{
    SL_AUTO(sl_layer_cipher) cipher = NULL;
    SL_AUTO_FREE struct slices *s = new_slices(blob);
    struct sl_digest digest;
    uint8_t mac[SL_HMAC_SIZE];
    int r = s ? sl_layer_cipher_new(SL_CIPHER_BEST, l->blob->digest.alg, l->key, &cipher, err)
              : sl_error_oom(err);
    for (size_t n; r == 0 && (n = next_slice(s));) {
        struct limit_meter since = limit_meter_now();
        r = sl_layer_cipher_decrypt(cipher, s->slice, n, err);
        limit_meter_add(cost, since);
    }
    r = r < 0 ? r : sl_layer_cipher_final(cipher, &digest, mac, err);
    return r < 0 ? r : check_sums(&digest, mac, l, err);
}

static int measure_cipher(const struct limit_layer *l, const struct sl_bytes *blob,
                          struct limit_cost costs[LIMIT_PARTS], struct sl_error *err)
{
    SL_AUTO(evp_cipher_ctx_st) ctr = EVP_CIPHER_CTX_new();
    if (!ctr || !EVP_DecryptInit_ex(ctr, EVP_aes_256_ctr(), NULL, l->key->lek, l->key->nonce))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "openssl has no AES-256-CTR");
    struct limit_cost openssl = {.by = "openssl"}, best = {.by = "sluice"};
    struct limit_cost cipher = {.by = "openssl"}, one_pass = {.by = "sluice"};
    int r = sum_and_decrypt(l, SL_SUMS_OPENSSL, blob, /* ctr= */ NULL, &openssl, NULL, err);
    /* Before the blob is decrypted where it lies. */
    r = r < 0 ? r : measure_one_pass(l, blob, &one_pass, err);
    r = r < 0 ? r : sum_and_decrypt(l, SL_SUMS_BEST, blob, ctr, &best, &cipher, err);
    if (r < 0)
        return r;
    limit_keep_best(&costs[LIMIT_SUMS], &openssl);
    limit_keep_best(&costs[LIMIT_SUMS], &best);
    limit_keep_best(&costs[LIMIT_SUMS], &one_pass);
    one_pass.cpu -= costs[LIMIT_SUMS].cpu;
    one_pass.wall -= costs[LIMIT_SUMS].wall;
    if (one_pass.wall < 0)
        one_pass.wall = 0; /* CPU decides which is best */
    costs[LIMIT_CIPHER] = cipher;
    limit_keep_best(&costs[LIMIT_CIPHER], &one_pass);
    return 0;
}

/* ---- decompression ---- */

static int inflate_ours(const struct limit_image *image, struct sl_span stream,
                        struct sl_bytes *plain, size_t limit, struct limit_cost *cost,
                        struct sl_error *err)
{
    SL_AUTO(sl_buf_lane) in = NULL;
    SL_AUTO(sl_buf_lane) out = NULL;
    SL_AUTO(sl_stage) keeper = NULL;
    SL_AUTO(sl_stage) stage = NULL;
    double keeping = 0;
    int r = sl_buf_lane_open(image->buffers, IN_BUFFERS, &in, err);
    if (r == 0)
        r = sl_buf_lane_open(image->buffers, OUT_BUFFERS, &out, err);
    if (r == 0)
        r = limit_keeper_new(plain, limit, &keeping, &keeper, err);
    if (r == 0)
        r = sl_stage_decompress_new(out, /* limits= */ NULL, &stage, err);
    if (r < 0)
        return r;
    stage->next = keeper;
    cost->by = "sluice";
    r = limit_drive(stage, stream, in, cost, err);
    cost->cpu -= keeping;
    cost->wall -= keeping;
    return r;
}

/* One member from the front of *in to the end of out, which has room bytes. Bytes written, or -1.
 */
static ssize_t isal_member(struct inflate_state *z, struct sl_span *in, uint8_t *out, size_t room)
{
    size_t done = 0;
    isal_inflate_init(z);
    z->crc_flag = ISAL_GZIP;
    while (z->block_state != ISAL_BLOCK_FINISH) {
        size_t in_now = in->len < INT32_MAX ? in->len : INT32_MAX;
        size_t out_now = room - done < INT32_MAX ? room - done : INT32_MAX;
        z->next_in = (uint8_t *)(uintptr_t)in->data;
        z->next_out = out + done;
        z->avail_in = (uint32_t)in_now;
        z->avail_out = (uint32_t)out_now;
        if (isal_inflate(z) != ISAL_DECOMP_OK || (z->avail_in == in_now && z->avail_out == out_now))
            return -1;
        in->data += in_now - z->avail_in;
        in->len -= in_now - z->avail_in;
        done += out_now - z->avail_out;
    }
    return (ssize_t)done;
}

/* isa-l with the whole layer before it, into memory that is there: what no puller can do. All
 * members. False: it is not gzip, or something is behind it. */
static bool isal_inflates(struct sl_span stream, struct sl_bytes *plain)
{
    SL_AUTO_FREE struct inflate_state *z = malloc(sizeof(*z));
    size_t done = 0;
    while (z && stream.len) {
        ssize_t n = isal_member(z, &stream, plain->data + done, plain->len - done);
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return done == plain->len;
}

static bool zstd_decodes(struct sl_span stream, struct sl_bytes *plain)
{
    return ZSTD_decompress(plain->data, plain->len, stream.data, stream.len) == plain->len;
}

static void inflate_others(struct sl_span stream, struct sl_bytes *plain, struct limit_cost *best)
{
    static const struct {
        const char *name;
        bool (*fn)(struct sl_span stream, struct sl_bytes *plain);
    } others[] = {{"isa-l", isal_inflates}, {"zstd", zstd_decodes}};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct limit_cost cost = {.by = others[i].name};
        struct limit_meter since = limit_meter_now();
        bool good = others[i].fn(stream, plain);
        limit_meter_add(&cost, since);
        if (good)
            limit_keep_best(best, &cost);
    }
}

int limit_decode(const struct limit_image *image, const struct limit_layer *l,
                 struct sl_bytes *blob, struct sl_bytes *plain, size_t limit,
                 struct limit_cost costs[LIMIT_PARTS], struct sl_error *err)
{
    int r = l->key ? measure_cipher(l, blob, costs, err)
                   : measure_digest(&l->blob->digest, blob, &costs[LIMIT_SUMS], err);
    if (r == 0)
        r = inflate_ours(image, sl_bytes_span(blob), plain, limit, &costs[LIMIT_INFLATE], err);
    if (r < 0)
        return r;
    inflate_others(sl_bytes_span(blob), plain, &costs[LIMIT_INFLATE]);
    /* The last to write to it was the fastest or not: the digest says that it was right. */
    return measure_digest(l->diff_id, plain, &costs[LIMIT_DIFF_ID], err);
}
