/* SPDX-License-Identifier: Apache-2.0 */
/* The last stage of a layer: file content goes from the pool's buffer straight to the file. */
#include "sluice/untar.h"

#include "entry_apply.h"

#include <stdlib.h>

struct stage_untar {
    struct sl_stage stage;
    struct sl_applier *applier;
    struct sl_tar_reader *reader;
};

static int untar_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct stage_untar *untar = (struct stage_untar *)stage;
    int r = sl_tar_reader_push(untar->reader, sl_buf_span(*bufp), err);
    if (r < 0) {
        sl_buf_release(bufp);
        return r;
    }
    return sl_stage_push(stage->next, bufp, err);
}

static int untar_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct stage_untar *untar = (struct stage_untar *)stage;
    int r = sl_tar_reader_finish(untar->reader, err);
    if (r >= 0)
        r = sl_applier_finish(untar->applier, err);
    return r < 0 ? r : 0;
}

static void untar_close(struct sl_stage *stage)
{
    struct stage_untar *untar = (struct stage_untar *)stage;
    sl_tar_reader_free(untar->reader);
    sl_applier_free(untar->applier);
    free(untar);
}

static const struct sl_stage_ops untar_ops = {
    .name = "unpack",
    .phase = SL_PHASE_TREE,
    .push = untar_push,
    .finish = untar_finish,
    .close = untar_close,
};

int sl_stage_untar_new(struct sl_staged_layer *staged, const struct sl_untar_options *options,
                       struct sl_stage **ret, struct sl_error *err)
{
    struct stage_untar *untar = calloc(1, sizeof(*untar));
    if (!untar)
        return sl_error_oom(err);
    untar->stage.ops = &untar_ops;
    struct sl_untar_limits limits = sl_untar_limits_or_default(options ? &options->limits : NULL);
    int r =
        sl_applier_new(staged, options && options->no_openat2, limits.depth, &untar->applier, err);
    if (r >= 0) {
        struct sl_tar_sink sink = sl_applier_sink;
        sink.arg = untar->applier;
        r = sl_tar_reader_new(&limits, &sink, &untar->reader, err);
    }
    if (r < 0) {
        untar_close(&untar->stage);
        return r;
    }
    *ret = &untar->stage;
    return 0;
}
