/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/attachment_push.h"

#include "image_resolve.h"
#include "layout_index.h"
#include "sink_ops.h"
#include "sluice/attachments.h"
#include "sluice/core/json.h"
#include "sluice/core/limits.h"

static const char oci_manifest[] = "application/vnd.oci.image.manifest.v1+json";

int sl_image_sink_find_tag(struct sl_image_sink *sink, const char *tag,
                           struct sl_image_document *ret, struct sl_error *err)
{
    struct sl_sink *transport = sl_image_sink_transport(sink);
    SL_AUTO_DONE(sl_source_document) fetched = {0};
    SL_AUTO_DONE(sl_image_document) doc = {0};
    int r = transport->ops->find_tag(transport, tag, &fetched, err);
    if (r == 0)
        return 0;
    if (r > 0)
        r = sl_image_check_document(&fetched, /* digest= */ NULL, &doc, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: tag %.100s", sl_image_sink_name(sink), tag);
    *ret = doc;
    doc = (struct sl_image_document){0};
    return 1;
}

int sl_image_sink_put_tagged(struct sl_image_sink *sink, const char *tag, struct sl_span bytes,
                             const char *media_type, const struct sl_digest *digest,
                             struct sl_error *err)
{
    struct sl_sink *transport = sl_image_sink_transport(sink);
    int r = sl_digest_verify(digest, bytes, err);
    if (r == 0)
        r = transport->ops->put_tagged(transport, bytes, media_type, digest, tag, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: tag %.100s", sl_image_sink_name(sink), tag) : 0;
}

static int put_referrer(struct sl_sink *transport, struct sl_span bytes,
                        const struct sl_digest *digest, struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    SL_AUTO(sl_artifact) artifact = NULL;
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_digest_verify(digest, bytes, err);
    if (r == 0)
        r = sl_artifact_parse(bytes, &artifact, err);
    if (r == 0)
        r = sl_json_parse(bytes, "manifest", &limits, &doc, err);
    if (r < 0)
        return r;
    if (!artifact || !artifact->has_subject)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the manifest names no subject");
    const struct sl_layout_entry entry = {
        .media_type = oci_manifest,
        .digest = *digest,
        .size = bytes.len,
        .artifact_type = artifact->artifact_type,
        .annotations = sl_json_get(sl_json_root(doc), "annotations"),
    };
    return transport->ops->put_referrer(transport, bytes, &entry, &artifact->subject, err);
}

int sl_image_sink_put_referrer(struct sl_image_sink *sink, struct sl_span bytes,
                               const struct sl_digest *digest, struct sl_error *err)
{
    int r = put_referrer(sl_image_sink_transport(sink), bytes, digest, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: referrer", sl_image_sink_name(sink)) : 0;
}
