/* SPDX-License-Identifier: Apache-2.0 */
/* The digests of a layer as stages: that of the blob as sent, that of the plain tar, and that of
 * a decrypted blob on its way out, which nobody has promised. They only look: every buffer is
 * passed on as it came. SHA-256 is hashed by our own kernels where the processor has them, and then
 * two layers at once. */
#include "blob_expect.h"
#include "sha256.h"
#include "sluice/layer_crypto.h"

#include <stdlib.h>

struct digest_stage {
    struct sl_stage stage;
    struct sl_hash *hash; /* NULL: sha256 */
    struct sl_sha256 sha256;
    struct sl_span ahead;         /* has been hashed, and is pushed next; len 0: nothing */
    struct sl_blob_expect expect; /* diff_id: without size, which nothing promises */
    struct sl_blob_summary *summary;
};

static void hash_buffer(struct digest_stage *s, const struct sl_buf *buf)
{
    struct sl_span bytes = sl_buf_span(buf);
    if (s->ahead.len) {
        /* Bytes that pass unhashed must never be taken for verified. */
        if (bytes.data != s->ahead.data || bytes.len != s->ahead.len)
            abort();
        s->ahead.len = 0;
        return;
    }
    if (s->hash)
        sl_hash_update(s->hash, bytes);
    else
        sl_sha256_update(&s->sha256, bytes);
}

static void digest_look_ahead(struct sl_stage *stage_a, struct sl_span a_bytes,
                              struct sl_stage *stage_b, struct sl_span b_bytes)
{
    struct digest_stage *a = (struct digest_stage *)stage_a;
    struct digest_stage *b = (struct digest_stage *)stage_b;
    if (a->hash || b->hash)
        return; /* each in its push() */
    sl_sha256_update_two(&a->sha256, a_bytes, &b->sha256, b_bytes);
    a->ahead = a_bytes;
    b->ahead = b_bytes;
}

static void hash_final(struct digest_stage *s, struct sl_digest *ret)
{
    if (s->hash) {
        sl_hash_final(s->hash, ret);
        return;
    }
    *ret = (struct sl_digest){.alg = SL_SHA256};
    sl_sha256_final(&s->sha256, ret->bytes);
}

static int blob_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    int r = sl_blob_expect_count(&s->expect, (*bufp)->len, err);
    if (r < 0)
        return r;
    hash_buffer(s, *bufp);
    return sl_stage_push(stage->next, bufp, err);
}

static int blob_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_digest actual;
    hash_final(s, &actual);
    return sl_blob_expect_verify(&s->expect, &actual, err);
}

static int diff_id_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    hash_buffer(s, *bufp);
    return sl_stage_push(stage->next, bufp, err);
}

static int diff_id_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_digest actual;
    hash_final(s, &actual);
    if (sl_digest_is_equal(&actual, &s->expect.digest))
        return 0;
    char is[SL_DIGEST_TEXT_MAX];
    char should[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&actual, is);
    sl_digest_format(&s->expect.digest, should);
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "unequal uncompressed digest %s config diff_id %s", is, should);
}

static int summary_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    s->expect.seen += (*bufp)->len;
    hash_buffer(s, *bufp);
    return sl_stage_push(stage->next, bufp, err);
}

static int summary_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)err;
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_blob_summary summary = {.size = s->expect.seen};
    hash_final(s, &summary.digest);
    *s->summary = summary;
    return 0;
}

static void digest_close(struct sl_stage *stage)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    (void)sl_hash_free(s->hash);
    free(s);
}

static const struct sl_stage_ops blob_ops = {
    .name = "blob digest",
    .phase = SL_PHASE_BLOB,
    .push = blob_push,
    .look_ahead = digest_look_ahead,
    .finish = blob_finish,
    .close = digest_close,
};

static const struct sl_stage_ops diff_id_ops = {
    .name = "diff_id",
    .phase = SL_PHASE_PLAIN,
    .push = diff_id_push,
    .look_ahead = digest_look_ahead,
    .finish = diff_id_finish,
    .close = digest_close,
};

static const struct sl_stage_ops summary_ops = {
    .name = "summary",
    .phase = SL_PHASE_OUT,
    .push = summary_push,
    .look_ahead = digest_look_ahead,
    .finish = summary_finish,
    .close = digest_close,
};

static int digest_stage_new(const struct sl_stage_ops *ops, struct sl_blob_expect expect,
                            struct sl_blob_summary *summary, struct sl_stage **ret,
                            struct sl_error *err)
{
    SL_AUTO_FREE struct digest_stage *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->stage.ops = ops;
    s->expect = expect;
    s->summary = summary;
    if (expect.digest.alg == SL_SHA256 && sl_sha256_is_supported()) {
        sl_sha256_init(&s->sha256);
    } else {
        int r = sl_hash_new(expect.digest.alg, &s->hash, err);
        if (r < 0)
            return r;
    }
    *ret = &sl_steal(&s)->stage;
    return 0;
}

int sl_stage_blob_digest_new(const struct sl_digest *expected, uint64_t size, struct sl_stage **ret,
                             struct sl_error *err)
{
    struct sl_blob_expect expect = {.digest = *expected, .size = size};
    return digest_stage_new(&blob_ops, expect, /* summary= */ NULL, ret, err);
}

int sl_stage_diff_id_new(const struct sl_digest *expected, struct sl_stage **ret,
                         struct sl_error *err)
{
    struct sl_blob_expect expect = {.digest = *expected};
    return digest_stage_new(&diff_id_ops, expect, /* summary= */ NULL, ret, err);
}

int sl_stage_summary_new(struct sl_blob_summary *summary, struct sl_stage **ret,
                         struct sl_error *err)
{
    struct sl_blob_expect nothing = {.digest.alg = SL_SHA256};
    return digest_stage_new(&summary_ops, nothing, summary, ret, err);
}
