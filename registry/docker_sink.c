/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry as the place where an image goes to. There is one such place: the location that the
 * rules give for the name, never a mirror. Aliases and search registries are for pulling: a name
 * without a host means docker.io.
 */
#include "docker_manifest.h"
#include "docker_opener.h"
#include "docker_referrer_list.h"
#include "docker_upload.h"
#include "mirror.h"
#include "sluice/core/log.h"
#include "source_ops.h"
#include "upload_url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct docker_sink {
    struct sl_sink base;
    struct sl_registry *registry;
    struct sl_http_group group; /* all its requests but those that tidy up */
    char *host, *repository, *tag;
    pthread_mutex_t lock;        /* held while the plan is made */
    struct sl_mirror_plan *plan; /* NULL before the first call; then ep is valid: */
    struct sl_docker_endpoint ep;
};

/* --- the place --- */

static const struct sl_endpoint *find_primary(const struct sl_mirror_plan *plan)
{
    for (size_t i = 0; i < plan->n_endpoints; i++)
        if (!plan->endpoints[i].is_mirror)
            return &plan->endpoints[i];
    return NULL;
}

static int make_plan_locked(struct docker_sink *sink, struct sl_error *err)
{
    const struct sl_registry_rules *rules = NULL;
    int r = sl_registry_get_rules(sink->registry, &rules, err);
    if (r < 0)
        return r;
    const struct sl_reference ref = {
        .host = sink->host, .repository = sink->repository, .tag = sink->tag};
    SL_AUTO(sl_mirror_plan) plan = NULL;
    r = sl_mirror_plan(rules, &ref, /* host_was_explicit= */ true, &plan, err);
    if (r < 0)
        return r;
    const struct sl_endpoint *primary = find_primary(plan);
    if (!primary)
        return sl_error_set(err, SL_E_POLICY, EPERM, "the registry rules name only mirrors");
    sl_docker_endpoint_init(&sink->ep, sink->registry, primary);
    sink->ep.actions = "pull,push";
    sink->ep.group = &sink->group;
    sink->plan = sl_steal(&plan);
    return 0;
}

static int make_plan(struct docker_sink *sink, struct sl_error *err)
{
    pthread_mutex_lock(&sink->lock);
    int r = sink->plan ? 0 : make_plan_locked(sink, err);
    pthread_mutex_unlock(&sink->lock);
    return r;
}

static int reach(struct docker_sink *sink, struct sl_error *err)
{
    int r = make_plan(sink, err);
    return r < 0 ? r : sl_docker_endpoint_open(&sink->ep, err);
}

/* --- blobs --- */

static int ask_for_blob(struct docker_sink *sink, const struct sl_digest *digest,
                        struct sl_error *err)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(&sink->ep, "blobs", text);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) answer = {.url = url, .method = "HEAD"};
    struct sl_error why = {0};
    int r = sl_docker_endpoint_ask(&sink->ep, &answer, &why);
    if (r == -ENOENT)
        return 0;
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : 1;
}

/* Begins an upload; 1 when a blob was mounted instead. */
static int begin(struct docker_sink *sink, const struct sl_digest *mount, const char *from,
                 char **ret_location, struct sl_error *err)
{
    SL_AUTO_FREE char *url = sl_upload_url_begin(&sink->ep, mount, from);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) answer = {.url = url, .method = "POST"};
    int r = sl_docker_endpoint_ask(&sink->ep, &answer, err);
    if (r < 0)
        return r;
    if (from && answer.status == 201)
        return 1;
    return sl_upload_url_next(url, answer.location, ret_location, err);
}

/* The repository of source if it is at our registry, and not ours. */
static const char *mount_from(const struct docker_sink *sink, const struct sl_image_source *source)
{
    const char *host = NULL, *repository = NULL;
    if (!source || !sl_image_source_place(source, &host, &repository) ||
        strcasecmp(host, sink->ep.plan->host) != 0 ||
        !strcmp(repository, sink->ep.plan->repository))
        return NULL;
    return repository;
}

/* A mount is a favour: a registry that refuses it gets the bytes. */
static int mount(struct docker_sink *sink, const char *from, const struct sl_digest *digest,
                 struct sl_error *err)
{
    SL_AUTO_FREE char *location = NULL;
    struct sl_error why = {0};
    int r = begin(sink, digest, from, &location, &why);
    if (r == 0)
        sl_docker_upload_take_back(&sink->ep, location);
    if (r >= 0)
        return r;
    if (why.code == SL_E_CANCELLED) {
        if (err)
            *err = why;
        return r;
    }
    sl_log(SL_LOG_DEBUG, "mounting a blob of %s: %s", from, why.msg);
    return 0;
}

static int docker_has_blob(struct sl_sink *base, const struct sl_image_source *source,
                           const struct sl_descriptor *blob, struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    int r = reach(sink, err);
    if (r == 0)
        r = ask_for_blob(sink, &blob->digest, err);
    if (r != 0)
        return r;
    const char *from = mount_from(sink, source);
    return from ? mount(sink, from, &blob->digest, err) : 0;
}

static int put_at(struct docker_sink *sink, const char *location, struct sl_span bytes,
                  const struct sl_digest *digest, struct sl_error *err)
{
    SL_AUTO_FREE char *url = sl_upload_url_end(location, digest);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) answer = {
        .url = url,
        .method = "PUT",
        .request_type = "application/octet-stream",
        .request = bytes,
    };
    int r = sl_docker_endpoint_ask(&sink->ep, &answer, err);
    /* No such upload: perhaps because it was ended, and the answer lost. */
    if (r == -ENOENT && ask_for_blob(sink, digest, NULL) > 0)
        return 0;
    return r < 0 ? r : sl_upload_check_digest(answer.content_digest, digest, err);
}

static int docker_put_blob(struct sl_sink *base, struct sl_span bytes,
                           const struct sl_digest *digest, struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    SL_AUTO_FREE char *location = NULL;
    int r = reach(sink, err);
    if (r == 0)
        r = begin(sink, NULL, /* from= */ NULL, &location, err);
    if (r < 0)
        return r;
    r = put_at(sink, location, bytes, digest, err);
    if (r < 0)
        sl_docker_upload_take_back(&sink->ep, location);
    return r;
}

static int docker_upload(struct sl_sink *base, uint64_t size, const struct sl_upload_events *events,
                         struct sl_blob_upload **ret, struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    int r = make_plan(sink, err);
    return r < 0 ? r : sl_docker_upload_new(&sink->ep, size, events, ret, err);
}

/* --- manifests --- */

static int put_manifest_as(struct docker_sink *sink, const char *id, struct sl_span bytes,
                           const char *media_type, const struct sl_digest *digest,
                           struct sl_error *err)
{
    return sl_docker_put_manifest(&sink->ep, id, bytes, media_type, digest, NULL, err);
}

/* By digest first: what the registry then refuses has not yet taken the place of another image. */
static int docker_put_manifest(struct sl_sink *base, struct sl_span bytes, const char *media_type,
                               const struct sl_digest *digest, bool named, struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    int r = reach(sink, err);
    if (r == 0)
        r = put_manifest_as(sink, text, bytes, media_type, digest, err);
    if (r == 0 && named)
        r = put_manifest_as(sink, sink->tag, bytes, media_type, digest, err);
    return r;
}

/* --- attachments --- */

static int docker_find_tag(struct sl_sink *base, const char *tag, struct sl_source_document *ret,
                           struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    int r = reach(sink, err);
    return r < 0 ? r : sl_docker_find_manifest(&sink->ep, tag, ret, err);
}

static int docker_put_tagged(struct sl_sink *base, struct sl_span bytes, const char *media_type,
                             const struct sl_digest *digest, const char *tag, struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    int r = reach(sink, err);
    return r < 0 ? r : put_manifest_as(sink, tag, bytes, media_type, digest, err);
}

/* A registry that keeps the list says so: OCI-Subject. */
static int docker_put_referrer(struct sl_sink *base, struct sl_span bytes,
                               const struct sl_layout_entry *entry, const struct sl_digest *subject,
                               struct sl_error *err)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    char text[SL_DIGEST_TEXT_MAX];
    struct sl_digest listed;
    SL_AUTO_FREE char *said = NULL;
    sl_digest_format(&entry->digest, text);
    int r = reach(sink, err);
    if (r == 0)
        r = sl_docker_put_manifest(&sink->ep, text, bytes, entry->media_type, &entry->digest, &said,
                                   err);
    if (r < 0)
        return r;
    if (sl_digest_parse(said, &listed, NULL) == 0 && sl_digest_is_equal(&listed, subject))
        return 0;
    return sl_docker_list_referrer(&sink->ep, entry, subject, err);
}

/* --- the sink --- */

static void docker_cancel(struct sl_sink *base)
{
    sl_http_group_cancel(&((struct docker_sink *)base)->group);
}

static void docker_close(struct sl_sink *base)
{
    struct docker_sink *sink = (struct docker_sink *)base;
    if (sink->plan) {
        sl_docker_endpoint_abort(&sink->ep);
        sl_docker_opener_join(&sink->ep);
        sl_docker_endpoint_done(&sink->ep);
    }
    sl_http_group_done(&sink->group);
    sl_mirror_plan_free(sink->plan);
    pthread_mutex_destroy(&sink->lock);
    free(sink->host);
    free(sink->repository);
    free(sink->tag);
    free(sink);
}

static const struct sl_sink_ops docker_ops = {
    .name = "docker",
    .has_blob = docker_has_blob,
    .put_blob = docker_put_blob,
    .put_manifest = docker_put_manifest,
    .upload = docker_upload,
    .find_tag = docker_find_tag,
    .put_tagged = docker_put_tagged,
    .put_referrer = docker_put_referrer,
    .cancel = docker_cancel,
    .close = docker_close,
};

int sl_docker_sink_open(struct sl_registry *registry, const struct sl_reference *ref,
                        struct sl_sink **ret, struct sl_error *err)
{
    struct docker_sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return sl_error_oom(err);
    sink->base.ops = &docker_ops;
    pthread_mutex_init(&sink->lock, NULL);
    sink->registry = registry;
    sink->host = strdup(ref->host);
    sink->repository = strdup(ref->repository);
    sink->tag = strdup(ref->tag);
    bool ok = sink->host && sink->repository && sink->tag;
    int r = ok ? sl_http_group_init(&sink->group, registry->loop, err) : sl_error_oom(err);
    if (r < 0) {
        docker_close(&sink->base);
        return r;
    }
    *ret = &sink->base;
    return 0;
}
