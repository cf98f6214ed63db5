/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests and small blobs of a registry image, from the first place of the mirror plan that
 * has them. "urls" of a descriptor (foreign layers) are not followed at all: a registry must not
 * choose where a guest connects to, and the blob endpoint has such layers when they are allowed.
 */
#include "docker_source.h"

#include "docker_manifest.h"
#include "docker_opener.h"
#include "mirror.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

static struct sl_docker_source *docker_of(struct sl_source *base)
{
    return (struct sl_docker_source *)base;
}

bool sl_docker_may_fall_back(const struct sl_error *err)
{
    return err->code == SL_E_NETWORK || err->code == SL_E_AUTH;
}

/* --- the plan --- */

static int make_plan(struct sl_docker_source *src, struct sl_error *err)
{
    if (src->plan)
        return 0;
    const struct sl_registry_rules *rules = NULL;
    int r = sl_registry_get_rules(src->registry, &rules, err);
    if (r < 0)
        return r;
    const struct sl_reference ref = {
        .host = src->host,
        .repository = src->repository,
        .tag = src->tag,
        .has_digest = src->has_digest,
        .digest = src->digest,
    };
    SL_AUTO(sl_mirror_plan) plan = NULL;
    r = sl_mirror_plan(rules, &ref, src->host_was_explicit, &plan, err);
    if (r < 0)
        return r;
    src->endpoints = calloc(plan->n_endpoints, sizeof(*src->endpoints));
    if (!src->endpoints)
        return sl_error_oom(err);
    src->n_endpoints = plan->n_endpoints;
    src->serving = plan->n_endpoints;
    src->has_one_name = true;
    src->plan = sl_steal(&plan);
    for (size_t i = 0; i < src->n_endpoints; i++) {
        sl_docker_endpoint_init(&src->endpoints[i], src->registry, &src->plan->endpoints[i]);
        src->endpoints[i].group = &src->group;
        src->has_one_name &= sl_docker_is_same_name(src, i, 0);
    }
    return 0;
}

bool sl_docker_is_same_name(const struct sl_docker_source *src, size_t i, size_t other)
{
    const struct sl_endpoint *a = &src->plan->endpoints[i], *b = &src->plan->endpoints[other];
    return !strcmp(a->name_host, b->name_host) && !strcmp(a->name_repository, b->name_repository);
}

/* --- trying places in order --- */

/* What is to be fetched, whatever the place. */
struct order {
    const char *kind, *id;
    struct sl_docker_document doc;
};

static int try_endpoint(struct sl_docker_endpoint *ep, struct order *order, struct sl_error *err)
{
    int r = sl_docker_endpoint_open(ep, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(ep, order->kind, order->id);
    if (!url)
        return sl_error_oom(err);
    order->doc.url = url;
    r = sl_docker_endpoint_ask(ep, &order->doc, err);
    order->doc.url = NULL;
    if (r < 0) {
        /* Nothing of a failed answer reaches the next place. */
        struct sl_docker_document fresh = {
            .accept = order->doc.accept,
            .limit = order->doc.limit,
            .has_size = order->doc.has_size,
            .size = order->doc.size,
        };
        sl_docker_document_done(&order->doc);
        order->doc = fresh;
    }
    return r;
}

/* With the tag and the digest that are asked for. To be freed. */
static char *image_at(const struct sl_docker_source *src, const char *host, const char *repository)
{
    char digest[SL_DIGEST_TEXT_MAX] = "";
    if (src->has_digest)
        sl_digest_format(&src->digest, digest);
    return sl_strf("%s/%s%s%s%s%s", host, repository, src->tag ? ":" : "", src->tag ? src->tag : "",
                   src->has_digest ? "@" : "", digest);
}

/* The line image-rs ends with; its tests and kata's look for it. */
struct failures {
    struct sl_bytes list;
    unsigned count;
};

static void note_failure(struct failures *f, const struct sl_docker_source *src, size_t i,
                         const struct sl_error *err)
{
    const struct sl_endpoint *place = &src->plan->endpoints[i];
    SL_AUTO_FREE char *image = image_at(src, place->host, place->repository);
    /* Every place gets its share of the line. */
    int share = (int)(300 / src->n_endpoints);
    SL_AUTO_FREE char *text = sl_strf("%simage: %s, error: %.*s", f->count ? "; " : "",
                                      image ? image : "?", share > 60 ? share : 60, err->msg);
    f->count++;
    if (text && sl_bytes_append(&f->list, sl_span_of(text), SL_ERROR_MSG_MAX, NULL) < 0)
        return; /* the line is full */
}

static int report_failures(struct failures *f, const struct sl_docker_source *src, int r,
                           struct sl_error *err)
{
    SL_AUTO_FREE char *image = image_at(src, src->host, src->repository);
    if (f->count > 1 && image && f->list.data)
        r = sl_error_set(err, err->code, -r,
                         "Failed to pull image %s from all mirror/mapping locations or original "
                         "location: %s",
                         image, (const char *)f->list.data);
    else
        r = sl_error_wrap(err, r, "%s", image ? image : src->repository);
    sl_bytes_done(&f->list);
    return r;
}

/* Tries the place that has served already, then the others in order. *ret is where it was found. */
static int fetch_somewhere(struct sl_docker_source *src, struct order *order, size_t *ret,
                           struct sl_error *err)
{
    const size_t first = src->serving;
    struct failures failures = {0};
    struct sl_error why = {0};
    int r = -ENOENT;
    for (size_t n = 0; n <= src->n_endpoints; n++) {
        size_t i = n == 0 ? first : n - 1;
        if (i == src->n_endpoints || (n > 0 && i == first))
            continue;
        if (first < src->n_endpoints && !sl_docker_is_same_name(src, i, first))
            continue;
        r = try_endpoint(&src->endpoints[i], order, &why);
        if (r == 0) {
            *ret = i;
            sl_bytes_done(&failures.list);
            return 0;
        }
        note_failure(&failures, src, i, &why);
        if (!sl_docker_may_fall_back(&why))
            break;
    }
    r = report_failures(&failures, src, r, &why);
    if (err)
        *err = why;
    return r;
}

/* --- operations --- */

static int docker_fetch_manifest(struct sl_source *base, const struct sl_digest *digest,
                                 struct sl_source_document *ret, struct sl_error *err)
{
    struct sl_docker_source *src = docker_of(base);
    int r = make_plan(src, err);
    if (r < 0)
        return r;
    char text[SL_DIGEST_TEXT_MAX];
    if (!digest && src->has_digest)
        digest = &src->digest;
    if (digest)
        sl_digest_format(digest, text);
    struct order order = {
        .kind = "manifests",
        .id = digest ? text : src->tag,
        .doc = {.accept = sl_docker_manifest_types, .limit = SL_MANIFEST_MAX},
    };
    size_t where;
    r = fetch_somewhere(src, &order, &where, err);
    if (r < 0)
        return sl_error_wrap(err, r, "manifest");
    src->serving = where;
    r = sl_docker_take_manifest(&order.doc, ret, err);
    sl_docker_document_done(&order.doc);
    return r;
}

static int docker_presume(struct sl_source *base, struct sl_error *err)
{
    struct sl_docker_source *src = docker_of(base);
    int r = make_plan(src, err);
    return r < 0 ? r : src->has_one_name;
}

int sl_docker_settle(struct sl_docker_source *src, struct sl_error *err)
{
    if (!src->plan || !src->has_one_name)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "the image has not been looked up yet");
    SL_AUTO_DONE(sl_source_document) doc = {0};
    pthread_mutex_lock(&src->settling);
    int r = src->serving < src->n_endpoints
                ? 0
                : docker_fetch_manifest(&src->base, &src->digest, &doc, err);
    pthread_mutex_unlock(&src->settling);
    return r;
}

static int docker_fetch_blob(struct sl_source *base, const struct sl_descriptor *blob,
                             struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_docker_source *src = docker_of(base);
    int r = make_plan(src, err);
    if (r < 0)
        return r;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&blob->digest, text);
    struct order order = {
        .kind = "blobs",
        .id = text,
        .doc = {.limit = (size_t)blob->size, .has_size = true, .size = blob->size},
    };
    size_t where;
    r = fetch_somewhere(src, &order, &where, err);
    if (r < 0)
        return sl_error_wrap(err, r, "blob %.19s", text);
    *ret = order.doc.bytes;
    order.doc.bytes = (struct sl_bytes){0};
    sl_docker_document_done(&order.doc);
    return 0;
}

static char *docker_name_served(const struct sl_source *base)
{
    const struct sl_docker_source *src = (const struct sl_docker_source *)base;
    size_t i = src->serving;
    if (i == src->n_endpoints && !src->has_one_name)
        return image_at(src, src->host, src->repository);
    const struct sl_endpoint *place = &src->plan->endpoints[i == src->n_endpoints ? 0 : i];
    return image_at(src, place->name_host, place->name_repository);
}

static bool docker_place(const struct sl_source *base, const char **ret_host,
                         const char **ret_repository)
{
    const struct sl_docker_source *src = (const struct sl_docker_source *)base;
    if (src->serving == src->n_endpoints)
        return false;
    *ret_host = src->plan->endpoints[src->serving].host;
    *ret_repository = src->plan->endpoints[src->serving].repository;
    return true;
}

/* Ends what may still be opening it first. */
static void endpoint_close(struct sl_docker_endpoint *ep)
{
    sl_docker_endpoint_abort(ep);
    sl_docker_opener_join(ep);
    sl_docker_endpoint_done(ep);
}

static void docker_cancel(struct sl_source *base)
{
    sl_http_group_cancel(&docker_of(base)->group);
}

static void docker_close(struct sl_source *base)
{
    struct sl_docker_source *src = docker_of(base);
    for (size_t i = 0; i < src->n_endpoints; i++)
        endpoint_close(&src->endpoints[i]);
    sl_http_group_done(&src->group);
    pthread_mutex_destroy(&src->settling);
    free(src->endpoints);
    sl_mirror_plan_free(src->plan);
    free(src->host);
    free(src->repository);
    free(src->tag);
    free(src);
}

static const struct sl_source_ops docker_ops = {
    .name = "docker",
    .fetch_manifest = docker_fetch_manifest,
    .presume = docker_presume,
    .fetch_blob = docker_fetch_blob,
    .stream = sl_docker_source_stream,
    .name_served = docker_name_served,
    .place = docker_place,
    .attachments = &sl_docker_attachment_ops,
    .cancel = docker_cancel,
    .close = docker_close,
};

int sl_docker_source_open(struct sl_registry *registry, const struct sl_reference *ref,
                          bool host_was_explicit, struct sl_source **ret, struct sl_error *err)
{
    struct sl_docker_source *src = calloc(1, sizeof(*src));
    if (!src)
        return sl_error_oom(err);
    src->base.ops = &docker_ops;
    src->base.group = &src->group;
    pthread_mutex_init(&src->settling, NULL);
    src->registry = registry;
    src->host_was_explicit = host_was_explicit;
    src->has_digest = ref->has_digest;
    src->digest = ref->digest;
    src->host = strdup(ref->host);
    src->repository = strdup(ref->repository);
    src->tag = ref->tag ? strdup(ref->tag) : NULL;
    bool ok = src->host && src->repository && (!ref->tag || src->tag);
    int r = ok ? sl_http_group_init(&src->group, registry->loop, err) : sl_error_oom(err);
    if (r < 0) {
        docker_close(&src->base);
        return r;
    }
    *ret = &src->base;
    return 0;
}
