/* SPDX-License-Identifier: Apache-2.0 */
/* A blob on its way into a layout: the stage writes each buffer where it comes, on its worker, and
 * syncs at the end. What is left for the commit is a rename. */
#include "oci_layout_sink.h"

#include <stdlib.h>

struct layout_upload {
    struct sl_blob_upload base;
    struct sl_oci_layout_sink *sink;
    struct sl_layout_file file;
};

static int layout_upload_push(struct sl_blob_upload *base, struct sl_buf **bufp,
                              struct sl_error *err)
{
    struct layout_upload *u = (struct layout_upload *)base;
    size_t len = (*bufp)->len;
    int r = sl_layout_file_write(&u->file, sl_buf_span(*bufp), err);
    sl_buf_release(bufp);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", u->sink->dir);
    atomic_fetch_add_explicit(&base->bytes, len, memory_order_relaxed);
    return 0;
}

static int layout_upload_finish(struct sl_blob_upload *base, struct sl_error *err)
{
    struct layout_upload *u = (struct layout_upload *)base;
    int r = sl_layout_file_sync(&u->file, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", u->sink->dir) : 0;
}

static void layout_upload_commit(struct sl_blob_upload *base, const struct sl_digest *digest)
{
    struct layout_upload *u = (struct layout_upload *)base;
    struct sl_error err = {0};
    int r = sl_oci_layout_sink_name_blob(u->sink, &u->file, digest, &err);
    if (r < 0)
        r = sl_error_wrap(&err, r, "%s", u->sink->dir);
    base->events.done(base->events.arg, r, &err);
}

static void layout_upload_close(struct sl_blob_upload *base)
{
    struct layout_upload *u = (struct layout_upload *)base;
    sl_layout_file_done(&u->file);
    free(u);
}

static const struct sl_blob_upload_ops layout_upload_ops = {
    .push = layout_upload_push,
    .finish = layout_upload_finish,
    .commit = layout_upload_commit,
    .close = layout_upload_close,
};

int sl_oci_layout_upload(struct sl_sink *base, uint64_t size, const struct sl_upload_events *events,
                         struct sl_blob_upload **ret, struct sl_error *err)
{
    struct sl_oci_layout_sink *sink = (struct sl_oci_layout_sink *)base;
    int r = sl_oci_layout_sink_prepare(sink, err);
    if (r < 0)
        return r;
    struct layout_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return sl_error_oom(err);
    u->base.ops = &layout_upload_ops;
    u->base.events = *events;
    u->base.size = size;
    u->sink = sink;
    r = sl_layout_file_create(sink->blobs_fd, &u->file, err);
    if (r < 0) {
        free(u);
        return r;
    }
    *ret = &u->base;
    return 0;
}
