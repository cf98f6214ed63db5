/* SPDX-License-Identifier: Apache-2.0 */
#include "docker_manifest.h"

#include "sluice/core/limits.h"
#include "upload_url.h"

#include <string.h>

/* OCI first, then docker schema 2. Schema 1 is not asked for: it has no diff_ids. */
const char sl_docker_manifest_types[] =
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

static char *media_type_of(const char *content_type)
{
    return content_type ? strndup(content_type, strcspn(content_type, "; \t")) : NULL;
}

int sl_docker_take_manifest(struct sl_docker_document *doc, struct sl_source_document *ret,
                            struct sl_error *err)
{
    struct sl_digest promised;
    char *media_type = media_type_of(doc->content_type);
    if (doc->content_type && !media_type)
        return sl_error_oom(err);
    ret->media_type = media_type;
    /* A header in another form than ours proves nothing; the front has its own digest then. */
    ret->has_promised = sl_digest_parse(doc->content_digest, &promised, NULL) == 0;
    if (ret->has_promised)
        ret->promised = promised;
    ret->bytes = doc->bytes;
    doc->bytes = (struct sl_bytes){0};
    return 0;
}

int sl_docker_find(struct sl_docker_endpoint *ep, struct sl_docker_document *doc,
                   struct sl_error *err)
{
    struct sl_error why = {0};
    int r = sl_docker_endpoint_ask(ep, doc, &why);
    if (r == 0)
        return 1;
    if (doc->refused == 404)
        return 0;
    if (err)
        *err = why;
    return r;
}

int sl_docker_find_manifest(struct sl_docker_endpoint *ep, const char *id,
                            struct sl_source_document *ret, struct sl_error *err)
{
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(ep, "manifests", id);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) doc = {
        .url = url, .accept = sl_docker_manifest_types, .limit = SL_MANIFEST_MAX};
    int r = sl_docker_find(ep, &doc, err);
    if (r <= 0)
        return r;
    r = sl_docker_take_manifest(&doc, ret, err);
    return r < 0 ? r : 1;
}

int sl_docker_put_manifest(struct sl_docker_endpoint *ep, const char *id, struct sl_span bytes,
                           const char *media_type, const struct sl_digest *digest,
                           char **ret_subject, struct sl_error *err)
{
    SL_AUTO_FREE char *url = sl_docker_endpoint_url(ep, "manifests", id);
    if (!url)
        return sl_error_oom(err);
    SL_AUTO_DONE(sl_docker_document) answer = {
        .url = url, .method = "PUT", .request_type = media_type, .request = bytes};
    int r = sl_docker_endpoint_ask(ep, &answer, err);
    if (r == 0)
        r = sl_upload_check_digest(answer.content_digest, digest, err);
    if (r == 0 && ret_subject)
        *ret_subject = sl_steal(&answer.subject);
    return r;
}
