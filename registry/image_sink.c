/* SPDX-License-Identifier: Apache-2.0 */
/* The front of all sinks: reads the name, opens the transport, checks what can be checked here. */
#include "image_name.h"
#include "sink_ops.h"

#include <inttypes.h>
#include <stdlib.h>

struct sl_image_sink {
    struct sl_sink *transport;
    char *name;
};

/* ---- opening and closing ---- */

static int open_transport(struct sl_image_sink *sink, struct sl_registry *registry,
                          const struct sl_image_name *name, struct sl_error *err)
{
    if (name->has_digest)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s: an image cannot be pushed to a digest; give a tag", name->text);
    if (!name->ref)
        return sl_oci_layout_sink_open(name->dir, name->tag, &sink->transport, err);
    if (!registry)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "no registry engine to push %s", name->text);
    return sl_docker_sink_open(registry, name->ref, &sink->transport, err);
}

int sl_image_sink_open(struct sl_registry *registry, const char *text, struct sl_image_sink **ret,
                       struct sl_error *err)
{
    SL_AUTO(sl_image_sink) sink = calloc(1, sizeof(*sink));
    if (!sink)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_image_name) name = {0};
    int r = sl_image_name_parse(text, &name, err);
    if (r == 0)
        r = open_transport(sink, registry, &name, err);
    if (r < 0)
        return r;
    sink->name = sl_steal(&name.text);
    *ret = sl_steal(&sink);
    return 0;
}

struct sl_image_sink *sl_image_sink_close(struct sl_image_sink *sink)
{
    if (!sink)
        return NULL;
    int saved = errno;
    if (sink->transport)
        sink->transport->ops->close(sink->transport);
    free(sink->name);
    free(sink);
    errno = saved;
    return NULL;
}

void sl_image_sink_cancel(struct sl_image_sink *sink)
{
    if (sink->transport->ops->cancel)
        sink->transport->ops->cancel(sink->transport);
}

const char *sl_image_sink_name(const struct sl_image_sink *sink)
{
    return sink->name;
}

struct sl_sink *sl_image_sink_transport(const struct sl_image_sink *sink)
{
    return sink->transport;
}

/* ---- what is small ---- */

int sl_image_sink_has_blob(struct sl_image_sink *sink, struct sl_image_source *source,
                           const struct sl_descriptor *blob, struct sl_error *err)
{
    int r = sink->transport->ops->has_blob(sink->transport, source, blob, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", sink->name) : r;
}

static int put_blob(struct sl_image_sink *sink, struct sl_span bytes,
                    const struct sl_digest *digest, struct sl_error *err)
{
    int r = sl_digest_verify(digest, bytes, err);
    if (r < 0)
        return r;
    const struct sl_descriptor blob = {.digest = *digest, .size = bytes.len};
    r = sink->transport->ops->has_blob(sink->transport, /* source= */ NULL, &blob, err);
    return r != 0 ? r : sink->transport->ops->put_blob(sink->transport, bytes, digest, err);
}

int sl_image_sink_put_blob(struct sl_image_sink *sink, struct sl_span bytes,
                           const struct sl_digest *digest, struct sl_error *err)
{
    int r = put_blob(sink, bytes, digest, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", sink->name) : 0;
}

int sl_image_sink_put_manifest(struct sl_image_sink *sink, struct sl_span bytes,
                               const char *media_type, const struct sl_digest *digest, bool named,
                               struct sl_error *err)
{
    int r = sl_digest_verify(digest, bytes, err);
    if (r == 0)
        r = sink->transport->ops->put_manifest(sink->transport, bytes, media_type, digest, named,
                                               err);
    return r < 0 ? sl_error_wrap(err, r, "%s: manifest", sink->name) : 0;
}

/* ---- uploads ---- */

int sl_image_sink_upload(struct sl_image_sink *sink, uint64_t size,
                         const struct sl_upload_events *events, struct sl_blob_upload **ret,
                         struct sl_error *err)
{
    int r = sink->transport->ops->upload(sink->transport, size, events, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", sink->name) : 0;
}

void sl_blob_upload_commit(struct sl_blob_upload *upload, const struct sl_digest *digest)
{
    upload->ops->commit(upload, digest);
}

struct sl_blob_upload *sl_blob_upload_close(struct sl_blob_upload *upload)
{
    if (upload)
        upload->ops->close(upload);
    return NULL;
}

uint64_t sl_blob_upload_bytes(const struct sl_blob_upload *upload)
{
    return atomic_load(&upload->bytes);
}

/* ---- the stage ---- */

struct upload_stage {
    struct sl_stage base;
    struct sl_blob_upload *upload;
};

static int upload_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct sl_blob_upload *upload = ((struct upload_stage *)stage)->upload;
    size_t len = (*bufp)->len;
    if (len > upload->size - upload->fed) {
        sl_buf_release(bufp);
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the blob to be pushed has more than the %" PRIu64 " bytes announced",
                            upload->size);
    }
    upload->fed += len;
    return upload->ops->push(upload, bufp, err);
}

static int upload_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct sl_blob_upload *upload = ((struct upload_stage *)stage)->upload;
    if (upload->fed != upload->size)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                            "the blob to be pushed has %" PRIu64 " bytes, %" PRIu64
                            " were announced",
                            upload->fed, upload->size);
    return upload->ops->finish(upload, err);
}

static void upload_close(struct sl_stage *stage)
{
    struct sl_blob_upload *upload = ((struct upload_stage *)stage)->upload;
    if (upload->ops->leave)
        upload->ops->leave(upload);
    free(stage);
}

static const struct sl_stage_ops upload_ops = {
    .name = "upload",
    .phase = SL_PHASE_OUT,
    .push = upload_push,
    .finish = upload_finish,
    .close = upload_close,
};

int sl_stage_upload_new(struct sl_blob_upload *upload, struct sl_stage **ret, struct sl_error *err)
{
    struct upload_stage *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->base.ops = &upload_ops;
    s->upload = upload;
    *ret = &s->base;
    return 0;
}
