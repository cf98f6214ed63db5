/* SPDX-License-Identifier: Apache-2.0 */
/* The front of what lies beside an image: asks the transport, and verifies what has a digest. */
#include "sluice/attachments.h"

#include "image_resolve.h"
#include "referrers.h"

static const struct sl_attachment_ops *ops_of(const struct sl_image_source *src)
{
    return sl_image_source_transport(src)->ops->attachments;
}

static int refuse_transport(struct sl_error *err)
{
    return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                        "signatures cannot lie beside an image of this kind");
}

/* r: what the transport said. */
static int check_document(int r, struct sl_source_document *fetched, const struct sl_digest *digest,
                          struct sl_image_document *ret, struct sl_error *err)
{
    if (r <= 0)
        return r;
    SL_AUTO_DONE(sl_image_document) doc = {0};
    r = sl_image_check_document(fetched, digest, &doc, err);
    if (r < 0)
        return r;
    *ret = doc;
    doc = (struct sl_image_document){0};
    return 1;
}

int sl_attachment_by_tag(struct sl_image_source *src, const char *tag,
                         struct sl_image_document *ret, struct sl_error *err)
{
    const struct sl_attachment_ops *ops = ops_of(src);
    SL_AUTO_DONE(sl_source_document) fetched = {0};
    int r = ops ? ops->by_tag(sl_image_source_transport(src), tag, &fetched, err)
                : refuse_transport(err);
    r = check_document(r, &fetched, /* digest= */ NULL, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: tag %.100s", sl_image_source_name(src), tag) : r;
}

int sl_attachment_by_digest(struct sl_image_source *src, const struct sl_digest *digest,
                            struct sl_image_document *ret, struct sl_error *err)
{
    const struct sl_attachment_ops *ops = ops_of(src);
    SL_AUTO_DONE(sl_source_document) fetched = {0};
    int r = ops ? ops->by_digest(sl_image_source_transport(src), digest, &fetched, err)
                : refuse_transport(err);
    r = check_document(r, &fetched, digest, ret, err);
    if (r >= 0)
        return r;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(digest, text);
    return sl_error_wrap(err, r, "%s: attachment %.19s", sl_image_source_name(src), text);
}

static int fetch_blob(struct sl_image_source *src, const struct sl_descriptor *blob, size_t limit,
                      struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_attachment_ops *ops = ops_of(src);
    if (!ops)
        return refuse_transport(err);
    if (blob->size > limit)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%llu bytes, the limit is %zu",
                            (unsigned long long)blob->size, limit);
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = ops->blob(sl_image_source_transport(src), blob, &bytes, err);
    if (r <= 0)
        return r;
    r = sl_digest_verify(&blob->digest, sl_bytes_span(&bytes), err);
    if (r < 0)
        return r;
    *ret = bytes;
    bytes = (struct sl_bytes){0};
    return 1;
}

int sl_attachment_blob(struct sl_image_source *src, const struct sl_descriptor *blob, size_t limit,
                       struct sl_bytes *ret, struct sl_error *err)
{
    int r = fetch_blob(src, blob, limit, ret, err);
    if (r >= 0)
        return r;
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&blob->digest, text);
    return sl_error_wrap(err, r, "%s: attached blob %.19s", sl_image_source_name(src), text);
}

int sl_attachment_referrers(struct sl_image_source *src, const struct sl_digest *image,
                            struct sl_referrers *ret, struct sl_error *err)
{
    const struct sl_attachment_ops *ops = ops_of(src);
    SL_AUTO_DONE(sl_referrers) list = {0};
    int r = ops ? ops->referrers(sl_image_source_transport(src), image, &list, err)
                : refuse_transport(err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: referrers", sl_image_source_name(src));
    *ret = list;
    list = (struct sl_referrers){0};
    return ret->n > 0;
}

int sl_attachment_extension(struct sl_image_source *src, const struct sl_digest *image,
                            size_t limit, struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_attachment_ops *ops = ops_of(src);
    if (!ops || !ops->extension)
        return 0;
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    int r = ops->extension(sl_image_source_transport(src), image, limit, &bytes, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s: the registry's signature extension",
                             sl_image_source_name(src));
    if (r == 1) {
        *ret = bytes;
        bytes = (struct sl_bytes){0};
    }
    return r;
}
