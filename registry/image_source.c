/* SPDX-License-Identifier: Apache-2.0 */
/* The front of all sources: reads the name, opens the transport, and hands on. */
#include "image_name.h"
#include "image_resolve.h"
#include "source_ops.h"

#include <stdlib.h>
#include <string.h>

struct sl_image_source {
    struct sl_source *transport;
    struct sl_registry *registry;    /* or NULL */
    struct sl_known_documents known; /* find NULL: none */
    char *name;
    bool has_digest; /* the caller asked for this manifest and no other */
    struct sl_digest digest;
};

/* The name says the directory's real path, and must be read back as that. */
static int name_layout(struct sl_image_source *src, struct sl_image_name *name,
                       struct sl_error *err)
{
    const char *dir = sl_oci_layout_real_path(src->transport);
    SL_AUTO_DONE(sl_image_name) real = {0};
    SL_AUTO_FREE char *text = sl_image_name_text_at(name, dir);
    if (!text)
        return sl_error_oom(err);
    int r = sl_image_name_parse(text, &real, /* err= */ NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || strcmp(real.dir, dir) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EINVAL,
                            "%s: its directory is %s, and an image cannot be named by a directory "
                            "with a colon or an @DIGEST; rename it",
                            name->text, dir);
    free(name->text);
    name->text = sl_steal(&text);
    return 0;
}

static int open_layout(struct sl_image_source *src, struct sl_image_name *name,
                       struct sl_error *err)
{
    int r = sl_oci_layout_open(name->dir, name->tag, &src->transport, err);
    return r < 0 ? r : name_layout(src, name, err);
}

static int open_transport(struct sl_image_source *src, struct sl_registry *registry,
                          struct sl_image_name *name, struct sl_error *err)
{
    if (!name->ref)
        return open_layout(src, name, err);
    if (!registry)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "no registry engine to pull %s", name->text);
    return sl_docker_source_open(registry, name->ref, name->host_was_explicit, &src->transport,
                                 err);
}

int sl_image_source_open(struct sl_registry *registry, const char *text,
                         struct sl_image_source **ret, struct sl_error *err)
{
    SL_AUTO(sl_image_source) src = calloc(1, sizeof(*src));
    if (!src)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_image_name) name = {0};
    int r = sl_image_name_parse(text, &name, err);
    if (r == 0)
        r = open_transport(src, registry, &name, err);
    if (r < 0)
        return r;
    src->registry = registry;
    src->has_digest = name.has_digest;
    src->digest = name.digest;
    src->name = sl_steal(&name.text);
    *ret = sl_steal(&src);
    return 0;
}

struct sl_image_source *sl_image_source_close(struct sl_image_source *src)
{
    if (!src)
        return NULL;
    int saved = errno;
    if (src->transport)
        src->transport->ops->close(src->transport);
    free(src->name);
    free(src);
    errno = saved;
    return NULL;
}

void sl_image_source_cancel(struct sl_image_source *src)
{
    if (src->transport->ops->cancel)
        src->transport->ops->cancel(src->transport);
}

void sl_image_source_set_known(struct sl_image_source *src, const struct sl_known_documents *known)
{
    src->known = known ? *known : (struct sl_known_documents){0};
}

const char *sl_image_source_name(const struct sl_image_source *src)
{
    return src->name;
}

char *sl_image_canonical_name(const char *text)
{
    SL_AUTO_DONE(sl_image_name) name = {0};
    if (sl_image_name_parse(text, &name, /* err= */ NULL) < 0)
        return NULL;
    if (name.ref)
        return sl_steal(&name.text);
    SL_AUTO_FREE char *dir = realpath(name.dir, NULL);
    return dir ? sl_image_name_text_at(&name, dir) : NULL;
}

static int take_name_served(struct sl_image_source *src, struct sl_error *err)
{
    if (!src->transport->ops->name_served)
        return 0;
    char *name = src->transport->ops->name_served(src->transport);
    if (!name)
        return sl_error_oom(err);
    free(src->name);
    src->name = name;
    return 0;
}

int sl_image_source_find(struct sl_image_source *src, const struct sl_platform *platform,
                         struct sl_resolved_image **ret, struct sl_error *err)
{
    const struct sl_digest *digest = src->has_digest ? &src->digest : NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_find(src->transport, &src->known, digest, platform, &image, err);
    if (r == 0)
        r = take_name_served(src, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", src->name);
    *ret = sl_steal(&image);
    return 0;
}

int sl_image_source_fetch_config(struct sl_image_source *src, struct sl_resolved_image *image,
                                 struct sl_error *err)
{
    int r = sl_image_fetch_config(src->transport, &src->known, image, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", src->name) : 0;
}

int sl_image_source_resolve(struct sl_image_source *src, const struct sl_platform *platform,
                            struct sl_resolved_image **ret, struct sl_error *err)
{
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_source_find(src, platform, &image, err);
    if (r == 0)
        r = sl_image_source_fetch_config(src, image, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&image);
    return 0;
}

int sl_image_source_document(struct sl_image_source *src, const struct sl_digest *digest,
                             struct sl_image_document *ret, struct sl_error *err)
{
    if (!digest && src->has_digest)
        digest = &src->digest;
    SL_AUTO_DONE(sl_image_document) doc = {0};
    int r = sl_image_fetch_document(src->transport, digest, &doc, err);
    if (r == 0)
        r = take_name_served(src, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", src->name);
    *ret = doc;
    doc = (struct sl_image_document){0};
    return 0;
}

int sl_image_source_blob(struct sl_image_source *src, const struct sl_descriptor *blob,
                         size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    if (blob->size > limit)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: a blob of %llu bytes, the limit is %zu",
                            src->name, (unsigned long long)blob->size, limit);
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = src->transport->ops->fetch_blob(src->transport, blob, &bytes, err);
    if (r == 0)
        r = sl_digest_verify(&blob->digest, sl_bytes_span(&bytes), err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", src->name);
    *ret = bytes;
    bytes = (struct sl_bytes){0};
    return 0;
}

struct sl_registry *sl_image_source_registry(const struct sl_image_source *src)
{
    return src->registry;
}

struct sl_source *sl_image_source_transport(const struct sl_image_source *src)
{
    return src->transport;
}

bool sl_image_source_place(const struct sl_image_source *src, const char **ret_host,
                           const char **ret_repository)
{
    const struct sl_source *transport = src->transport;
    return transport->ops->place && transport->ops->place(transport, ret_host, ret_repository);
}

int sl_image_source_stream(struct sl_image_source *src, const struct sl_descriptor *blob,
                           struct sl_buf_lane *lane, struct sl_flow *flow,
                           struct sl_blob_stream **ret, struct sl_error *err)
{
    return src->transport->ops->stream(src->transport, blob, lane, flow, ret, err);
}

void sl_blob_stream_stop(struct sl_blob_stream *stream)
{
    stream->ops->stop(stream);
}

struct sl_blob_stream *sl_blob_stream_close(struct sl_blob_stream *stream)
{
    if (stream)
        stream->ops->close(stream);
    return NULL;
}

uint64_t sl_blob_stream_bytes(const struct sl_blob_stream *stream)
{
    return atomic_load(&stream->bytes);
}
