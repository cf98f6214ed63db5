/* SPDX-License-Identifier: Apache-2.0 */
/* The front of all sources: reads the transport's prefix, opens the transport, and hands on. */
#include "image_resolve.h"
#include "mirror.h"
#include "source_ops.h"

#include <stdlib.h>
#include <string.h>

struct sl_image_source {
    struct sl_source *transport;
    char *name;
    bool has_digest; /* the caller asked for this manifest and no other */
    struct sl_digest digest;
};

/* Transports of skopeo and podman that would otherwise pass for odd names of images. */
static const char *const foreign_transports[] = {
    "dir:", "docker-archive:", "docker-daemon:", "oci-archive:", "containers-storage:", "ostree:",
    "sif:", "tarball:",
};

/* What follows prefix, or NULL. */
static const char *after_prefix(const char *text, const char *prefix)
{
    size_t len = strlen(prefix);
    return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

static int check_transport(const char *text, struct sl_error *err)
{
    bool is_foreign = strstr(text, "://") != NULL;
    for (size_t i = 0; i < sizeof(foreign_transports) / sizeof(foreign_transports[0]); i++)
        is_foreign |= after_prefix(text, foreign_transports[i]) != NULL;
    if (!is_foreign)
        return 0;
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "\"%s\": this transport is not supported; use docker:// or oci:", text);
}

/* ---- docker:// ---- */

static int open_docker(struct sl_image_source *src, struct sl_registry *registry,
                       const char *reference, bool host_was_explicit, struct sl_error *err)
{
    SL_AUTO(sl_reference) ref = NULL;
    int r = sl_reference_parse(reference, &ref, err);
    if (r < 0)
        return r;
    if (!registry)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "no registry engine to pull %s", reference);
    src->name = sl_reference_format(ref);
    if (!src->name)
        return sl_error_oom(err);
    src->has_digest = ref->has_digest;
    src->digest = ref->digest;
    return sl_docker_source_open(registry, ref, host_was_explicit, &src->transport, err);
}

/* ---- oci: ---- */

/* "DIR@sha256" of "DIR@sha256:…", whose colon is the digest's and not the tag's. */
static char *find_digest(char *text, const char *colon)
{
    char *at = colon ? memrchr(text, '@', (size_t)(colon - text)) : NULL;
    if (!at)
        return NULL;
    size_t len = (size_t)(colon - at - 1);
    for (int alg = SL_SHA256; alg <= SL_SHA512; alg++) {
        const char *name = sl_digest_alg_name((enum sl_digest_alg)alg);
        if (strlen(name) == len && memcmp(at + 1, name, len) == 0)
            return at;
    }
    return NULL;
}

/* DIR, DIR:TAG or DIR@DIGEST. As for skopeo, DIR ends at the first colon. */
static int open_layout(struct sl_image_source *src, const char *path, struct sl_error *err)
{
    SL_AUTO_FREE char *dir = strdup(path);
    src->name = sl_strf("oci:%s", path);
    if (!dir || !src->name)
        return sl_error_oom(err);
    char *colon = strchr(dir, ':');
    char *at = find_digest(dir, colon);
    const char *tag = NULL;
    if (at) {
        int r = sl_digest_parse(at + 1, &src->digest, err);
        if (r < 0)
            return sl_error_wrap(err, r, "%s", src->name);
        src->has_digest = true;
        *at = '\0';
    } else if (colon) {
        *colon = '\0';
        tag = colon + 1;
    }
    if (!*dir || (tag && !*tag))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "\"%s\": expected oci:DIR, oci:DIR:TAG or oci:DIR@DIGEST", src->name);
    return sl_oci_layout_open(dir, tag, &src->transport, err);
}

/* ---- all ---- */

static int open_transport(struct sl_image_source *src, struct sl_registry *registry,
                          const char *text, struct sl_error *err)
{
    const char *path = after_prefix(text, "oci:");
    if (path)
        return open_layout(src, path, err);
    const char *reference = after_prefix(text, "docker://");
    if (reference)
        return open_docker(src, registry, reference, /* host_was_explicit= */ true, err);
    int r = check_transport(text, err);
    return r < 0 ? r : open_docker(src, registry, text, sl_reference_names_host(text), err);
}

int sl_image_source_open(struct sl_registry *registry, const char *text,
                         struct sl_image_source **ret, struct sl_error *err)
{
    SL_AUTO(sl_image_source) src = calloc(1, sizeof(*src));
    if (!src)
        return sl_error_oom(err);
    int r = open_transport(src, registry, text, err);
    if (r < 0)
        return r;
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

const char *sl_image_source_name(const struct sl_image_source *src)
{
    return src->name;
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

int sl_image_source_resolve(struct sl_image_source *src, const struct sl_platform *platform,
                            struct sl_resolved_image **ret, struct sl_error *err)
{
    const struct sl_digest *digest = src->has_digest ? &src->digest : NULL;
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_resolve(src->transport, digest, platform, &image, err);
    if (r == 0)
        r = take_name_served(src, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", src->name);
    *ret = sl_steal(&image);
    return 0;
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
