/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_docker_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fake_document *manifests_served;
static const char *config_served;
static char reference_seen[512];
static bool host_was_explicit_seen;
static const char *name_served;

void fake_docker_serve(const struct fake_document *manifests, const char *config)
{
    manifests_served = manifests;
    config_served = config;
    reference_seen[0] = '\0';
    name_served = NULL;
}

void fake_docker_serve_as(const char *name)
{
    name_served = name;
}

bool fake_docker_host_was_explicit(void)
{
    return host_was_explicit_seen;
}

const char *fake_docker_reference(void)
{
    return reference_seen;
}

static int answer(const struct fake_document *d, struct sl_source_document *ret,
                  struct sl_error *err)
{
    struct sl_source_document doc = {0};
    int r = sl_bytes_append(&doc.bytes, sl_span_of(d->text), SIZE_MAX / 2, err);
    if (r >= 0 && d->promised) {
        doc.has_promised = true;
        r = sl_digest_parse(d->promised, &doc.promised, err);
    }
    if (r < 0)
        return r;
    doc.media_type = d->media_type ? strdup(d->media_type) : NULL;
    *ret = doc;
    return 0;
}

static int fake_fetch_manifest(struct sl_source *src, const struct sl_digest *digest,
                               struct sl_source_document *ret, struct sl_error *err)
{
    (void)src;
    char wanted[SL_DIGEST_TEXT_MAX] = "";
    if (digest)
        sl_digest_format(digest, wanted);
    for (const struct fake_document *d = manifests_served; d->text; d++)
        if (strcmp(d->digest ? d->digest : "", wanted) == 0)
            return answer(d, ret, err);
    return sl_error_set(err, SL_E_NETWORK, ENOENT, "manifest unknown: %s", wanted);
}

static int fake_fetch_blob(struct sl_source *src, const struct sl_descriptor *blob,
                           struct sl_bytes *ret, struct sl_error *err)
{
    (void)src;
    (void)blob;
    return sl_bytes_append(ret, sl_span_of(config_served), SIZE_MAX / 2, err);
}

static int fake_stream(struct sl_source *src, const struct sl_descriptor *blob,
                       struct sl_buf_lane *lane, struct sl_flow *flow, struct sl_blob_stream **ret,
                       struct sl_error *err)
{
    (void)src;
    (void)blob;
    (void)lane;
    (void)flow;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "the fake does not stream");
}

static char *fake_name(const struct sl_source *src)
{
    (void)src;
    return strdup(name_served ? name_served : reference_seen);
}

static void fake_close(struct sl_source *src)
{
    free(src);
}

static const struct sl_source_ops fake_ops = {
    .name = "docker",
    .fetch_manifest = fake_fetch_manifest,
    .fetch_blob = fake_fetch_blob,
    .stream = fake_stream,
    .name_served = fake_name,
    .close = fake_close,
};

int sl_docker_source_open(struct sl_registry *registry, const struct sl_reference *ref,
                          bool host_was_explicit, struct sl_source **ret, struct sl_error *err)
{
    (void)registry;
    host_was_explicit_seen = host_was_explicit;
    struct sl_source *src = calloc(1, sizeof(*src));
    SL_AUTO_FREE char *text = sl_reference_format(ref);
    if (!src || !text) {
        free(src);
        return sl_error_oom(err);
    }
    (void)snprintf(reference_seen, sizeof(reference_seen), "%s", text);
    src->ops = &fake_ops;
    *ret = src;
    return 0;
}
