/* SPDX-License-Identifier: Apache-2.0 */
/* What the cipher side of an encrypted layer costs: the stage as a layer sees it, buffers from a
 * lane, and its parts. Warm buffers, no network. */
#include "bench_case.h"
#include "stage_decrypt.h"

#include <stdlib.h>

/* Any: speed does not depend on it. */
static const struct sl_layer_key key = {.lek = {1, 2, 3}, .nonce = {4, 5, 6}, .protocol = "jwe"};
static const uint8_t hmac[SL_HMAC_SIZE];
static const struct sl_digest digest = {.alg = SL_SHA256};

enum { N_BUFFERS = 4 };

/* One stage at the end of the road; a run pushes the case's bytes into it. */
struct stage_run {
    struct sl_buf_pool *pool;
    struct sl_buf_lane *lane;
    struct sl_stage *stage;
    size_t bytes;
};

static void stage_tear_down(void *state)
{
    struct stage_run *s = state;
    (void)sl_stage_close(s->stage);
    (void)sl_buf_lane_close(s->lane);
    (void)sl_buf_pool_free(s->pool);
    free(s);
}

static int stage_set_up(const struct sl_bench_case *c, struct sl_stage **stagep, void **ret_state)
{
    struct stage_run *s = calloc(1, sizeof(*s));
    if (!s) {
        (void)sl_stage_close(*stagep);
        return -ENOMEM;
    }
    s->stage = sl_steal(stagep);
    s->bytes = c->bytes;
    int r = sl_buf_pool_new((size_t)N_BUFFERS * SL_BUF_SIZE, &s->pool, NULL);
    if (!r)
        r = sl_buf_lane_open(s->pool, N_BUFFERS, &s->lane, NULL);
    if (r) {
        stage_tear_down(s);
        return r;
    }
    *ret_state = s;
    return 0;
}

static int stage_run(void *state)
{
    struct stage_run *s = state;
    for (size_t left = s->bytes; left;) {
        struct sl_buf *buf = sl_buf_acquire(s->lane);
        buf->len = left < buf->cap ? left : buf->cap;
        left -= buf->len;
        int r = sl_stage_push(s->stage, &buf, NULL);
        sl_buf_release(&buf);
        if (r < 0)
            return r;
    }
    return 0;
}

static int decrypt_set_up(const struct sl_bench_case *c, void **ret_state)
{
    struct sl_stage *stage = NULL;
    int r = sl_stage_decrypt_new_with((enum sl_blob_sums_kind)c->variant, &key, hmac, &digest,
                                      UINT64_MAX, &stage, NULL);
    return r < 0 ? r : stage_set_up(c, &stage, ret_state);
}

static int diff_id_set_up(const struct sl_bench_case *c, void **ret_state)
{
    struct sl_stage *stage = NULL;
    int r = sl_stage_diff_id_new(&digest, &stage, NULL);
    return r < 0 ? r : stage_set_up(c, &stage, ret_state);
}

/* The two sums without the cipher. */
struct sums_run {
    struct sl_blob_sums *sums;
    struct sl_bytes data;
};

static void sums_tear_down(void *state)
{
    struct sums_run *s = state;
    (void)sl_blob_sums_free(s->sums);
    free(s->data.data);
    free(s);
}

static int sums_set_up(const struct sl_bench_case *c, void **ret_state)
{
    struct sums_run *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->data = (struct sl_bytes){.data = calloc(1, c->bytes), .len = c->bytes};
    int r =
        sl_blob_sums_new((enum sl_blob_sums_kind)c->variant, SL_SHA256, key.lek, &s->sums, NULL);
    if (r < 0 || !s->data.data) {
        sums_tear_down(s);
        return r < 0 ? r : -ENOMEM;
    }
    *ret_state = s;
    return 0;
}

static int sums_run(void *state)
{
    struct sums_run *s = state;
    return sl_blob_sums_update(s->sums, sl_bytes_span(&s->data), NULL);
}

enum { KIB = 1024, MIB = 1024 * 1024 };

#define DECRYPT(name_, kind, size, rival_)                                                         \
    {                                                                                              \
        name_, rival_, size, kind, decrypt_set_up, stage_run, stage_tear_down, NULL                \
    }
#define DIFF_ID(name_, size, rival_)                                                               \
    {                                                                                              \
        name_, rival_, size, 0, diff_id_set_up, stage_run, stage_tear_down, NULL                   \
    }
#define SUMS(name_, kind, size, rival_)                                                            \
    {                                                                                              \
        name_, rival_, size, kind, sums_set_up, sums_run, sums_tear_down, NULL                     \
    }

/* two_passes is OpenSSL's SHA-256 and HMAC, one after the other over each slice: the rival of the
 * fused kernel, and what runs where it cannot. */
static const struct sl_bench_case cases[] = {
    DECRYPT("crypto/decrypt/fused/64KiB", SL_SUMS_FUSED, 64 * KIB,
            "crypto/decrypt/two_passes/64KiB"),
    DECRYPT("crypto/decrypt/two_passes/64KiB", SL_SUMS_OPENSSL, 64 * KIB,
            "crypto/decrypt/fused/64KiB"),
    DECRYPT("crypto/decrypt/fused/1MiB", SL_SUMS_FUSED, MIB, "crypto/decrypt/two_passes/1MiB"),
    DECRYPT("crypto/decrypt/two_passes/1MiB", SL_SUMS_OPENSSL, MIB, "crypto/decrypt/fused/1MiB"),
    DECRYPT("crypto/decrypt/fused/64MiB", SL_SUMS_FUSED, 64 * MIB,
            "crypto/decrypt/two_passes/64MiB"),
    DECRYPT("crypto/decrypt/two_passes/64MiB", SL_SUMS_OPENSSL, 64 * MIB,
            "crypto/decrypt/fused/64MiB"),
    SUMS("crypto/sums/fused/16KiB", SL_SUMS_FUSED, 16 * KIB, "crypto/sums/two_passes/16KiB"),
    SUMS("crypto/sums/two_passes/16KiB", SL_SUMS_OPENSSL, 16 * KIB, "crypto/sums/fused/16KiB"),
    DIFF_ID("crypto/diff_id/openssl/1MiB", MIB, "the floor: one SHA-256 and nothing else"),
};

const struct sl_bench_table sl_bench_cipher = {cases, sizeof(cases) / sizeof(cases[0])};
