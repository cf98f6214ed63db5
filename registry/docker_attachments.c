/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies beside an image in a registry. Only the place that served the manifest is asked: what
 * others say about it is none of their business, and a mirror that has the image but not its
 * signatures must not be able to borrow those of another.
 *
 * distribution-spec 1.1 ("Listing Referrers") and, for the extension, containers/image
 * docs/signature-protocols.md.
 */
#include "docker_manifest.h"
#include "docker_referrers.h"
#include "docker_source.h"

enum {
    PING_MAX = 64 * 1024, /* bytes of the answer to GET /v2/, which nobody reads */
};

/* --- one document --- */

static int serving_endpoint(struct sl_source *base, struct sl_docker_endpoint **ret,
                            struct sl_error *err)
{
    struct sl_docker_source *src = (struct sl_docker_source *)base;
    int r = src->plan && src->serving < src->n_endpoints ? 0 : sl_docker_settle(src, err);
    if (r < 0)
        return r;
    *ret = &src->endpoints[src->serving];
    return sl_docker_endpoint_open(*ret, err);
}

static int fetch_manifest(struct sl_source *base, const char *id, struct sl_source_document *ret,
                          struct sl_error *err)
{
    struct sl_docker_endpoint *ep = NULL;
    int r = serving_endpoint(base, &ep, err);
    return r < 0 ? r : sl_docker_find_manifest(ep, id, ret, err);
}

static int docker_by_tag(struct sl_source *base, const char *tag, struct sl_source_document *ret,
                         struct sl_error *err)
{
    return fetch_manifest(base, tag, ret, err);
}

static int docker_by_digest(struct sl_source *base, const struct sl_digest *digest,
                            struct sl_source_document *ret, struct sl_error *err)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    return fetch_manifest(base, text, ret, err);
}

static int docker_blob(struct sl_source *base, const struct sl_descriptor *blob,
                       struct sl_bytes *ret, struct sl_error *err)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&blob->digest, text);
    struct sl_docker_endpoint *ep = NULL;
    int r = serving_endpoint(base, &ep, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(ep, "blobs", text);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) doc = {
        .url = url, .limit = (size_t)blob->size, .has_size = true, .size = blob->size};
    r = sl_docker_find(ep, &doc, err);
    if (r == 1) {
        *ret = doc.bytes;
        doc.bytes = (struct sl_bytes){0};
    }
    return r;
}

/* --- referrers --- */

static int docker_referrers(struct sl_source *base, const struct sl_digest *image,
                            struct sl_referrers *list, struct sl_error *err)
{
    struct sl_docker_endpoint *ep = NULL;
    int r = serving_endpoint(base, &ep, err);
    if (r == 0)
        r = sl_docker_referrers(ep, image, list, err);
    if (r != 0)
        return r < 0 ? r : 0;
    SL_AUTO_FREE char *tag = sl_referrers_tag(image);
    SL_AUTO_DONE(sl_source_document) doc = {0};
    if (!tag)
        return sl_error_oom(err);
    r = sl_docker_find_manifest(ep, tag, &doc, err);
    if (r <= 0)
        return r;
    r = sl_referrers_parse(sl_bytes_span(&doc.bytes), doc.media_type, SL_REFERRERS_MAX, list, err);
    return r < 0 ? sl_error_wrap(err, r, "tag %.80s", tag) : 1;
}

/* --- X-Registry-Supports-Signatures --- */

/* 1 when the registry says that it has the extension. */
static int is_extension_offered(struct sl_docker_endpoint *ep, struct sl_error *err)
{
    SL_AUTO_FREE char *url = sl_strf("%s/v2/", ep->peer->origin);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) doc = {.url = url, .limit = PING_MAX, .is_apart = true};
    int r = sl_docker_find(ep, &doc, err);
    return r <= 0 ? r : doc.offers_signatures;
}

static int docker_extension(struct sl_source *base, const struct sl_digest *image, size_t limit,
                            struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_docker_endpoint *ep = NULL;
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(image, digest);
    int r = serving_endpoint(base, &ep, err);
    if (r == 0)
        r = is_extension_offered(ep, err);
    if (r <= 0)
        return r;
    SL_AUTO_FREE char *url = sl_strf("%s/extensions/v2/%s/signatures/%s", ep->peer->origin,
                                     ep->plan->repository, digest);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) doc = {
        .url = url, .accept = "application/json", .limit = limit};
    /* Also 404 is an error: who offers signatures has a list of them, be it empty. */
    r = sl_docker_endpoint_ask(ep, &doc, err);
    if (r < 0)
        return r;
    *ret = doc.bytes;
    doc.bytes = (struct sl_bytes){0};
    return 1;
}

const struct sl_attachment_ops sl_docker_attachment_ops = {
    .by_tag = docker_by_tag,
    .by_digest = docker_by_digest,
    .blob = docker_blob,
    .referrers = docker_referrers,
    .extension = docker_extension,
};
