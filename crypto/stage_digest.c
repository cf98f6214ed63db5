/* SPDX-License-Identifier: Apache-2.0 */
/* The digests of a layer as stages: that of the blob as sent, that of the plain tar, and that of
 * a decrypted blob on its way out, which nobody has promised. They only look: every buffer is
 * passed on as it came. */
#include "blob_expect.h"
#include "sluice/layer_crypto.h"

#include <stdlib.h>

struct digest_stage {
    struct sl_stage stage;
    struct sl_hash *hash;
    struct sl_blob_expect expect; /* diff_id: without size, which nothing promises */
    struct sl_blob_summary *summary;
};

static int blob_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    int r = sl_blob_expect_count(&s->expect, (*bufp)->len, err);
    if (r < 0)
        return r;
    sl_hash_update(s->hash, sl_buf_span(*bufp));
    return sl_stage_push(stage->next, bufp, err);
}

static int blob_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_digest actual;
    sl_hash_final(s->hash, &actual);
    return sl_blob_expect_verify(&s->expect, &actual, err);
}

static int diff_id_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    sl_hash_update(s->hash, sl_buf_span(*bufp));
    return sl_stage_push(stage->next, bufp, err);
}

static int diff_id_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_digest actual;
    sl_hash_final(s->hash, &actual);
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
    sl_hash_update(s->hash, sl_buf_span(*bufp));
    return sl_stage_push(stage->next, bufp, err);
}

static int summary_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)err;
    struct digest_stage *s = (struct digest_stage *)stage;
    struct sl_blob_summary summary = {.size = s->expect.seen};
    sl_hash_final(s->hash, &summary.digest);
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
    .finish = blob_finish,
    .close = digest_close,
};

static const struct sl_stage_ops diff_id_ops = {
    .name = "diff_id",
    .phase = SL_PHASE_PLAIN,
    .push = diff_id_push,
    .finish = diff_id_finish,
    .close = digest_close,
};

static const struct sl_stage_ops summary_ops = {
    .name = "summary",
    .phase = SL_PHASE_OUT,
    .push = summary_push,
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
    int r = sl_hash_new(expect.digest.alg, &s->hash, err);
    if (r < 0)
        return r;
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
