/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies beside an image in an OCI layout. Layouts have no list of referrers: whatever
 * index.json lists without a tag, or as an artifact, may be one, and its manifest says whose.
 */
#include "oci_layout.h"
#include "referrers.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

enum { CANDIDATES_MAX = 1024 }; /* entries of index.json that may be referrers */

static const char ref_name[] = "org.opencontainers.image.ref.name";
static const char oci_manifest[] = "application/vnd.oci.image.manifest.v1+json";

static struct sl_oci_layout *layout_of(struct sl_source *source)
{
    return (struct sl_oci_layout *)source;
}

static int parse_index(struct sl_oci_layout *layout, const struct sl_bytes *text,
                       struct sl_index **ret, struct sl_error *err)
{
    int r = sl_index_parse(sl_bytes_span(text), /* media_type= */ NULL, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: index.json", layout->dir) : 0;
}

static int layout_by_tag(struct sl_source *source, const char *tag, struct sl_source_document *ret,
                         struct sl_error *err)
{
    struct sl_oci_layout *layout = layout_of(source);
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO(sl_index) index = NULL;
    int r = sl_oci_layout_read_index(layout, &text, err);
    if (r == 0)
        r = parse_index(layout, &text, &index, err);
    if (r < 0)
        return r;
    const struct sl_descriptor *d = sl_oci_layout_find_tag(index, tag);
    if (!d)
        return 0;
    r = sl_oci_layout_fetch_entry(layout, d, ret, err);
    return r < 0 ? r : 1;
}

/* r: of opening a blob. */
static int found(int r, const struct sl_error *why, struct sl_error *err)
{
    if (r == -ENOENT)
        return 0;
    if (r < 0 && err)
        *err = *why;
    return r < 0 ? r : 1;
}

static int layout_by_digest(struct sl_source *source, const struct sl_digest *digest,
                            struct sl_source_document *ret, struct sl_error *err)
{
    struct sl_error why = {0};
    int r = sl_oci_layout_fetch_document(layout_of(source), digest, ret, &why);
    return found(r, &why, err);
}

static int layout_blob(struct sl_source *source, const struct sl_descriptor *blob,
                       struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_error why = {0};
    int r = source->ops->fetch_blob(source, blob, ret, &why);
    return found(r, &why, err);
}

/* ---- referrers ---- */

/* Without a type of its own it is no artifact, and with a tag perhaps an image; the others are
 * worth a look. Indexes can be referrers too, but nobody signs by them. */
static bool is_candidate(const struct sl_referrer *entry)
{
    return !strcmp(entry->descriptor.media_type, oci_manifest) &&
           (*entry->artifact_type || !sl_descriptor_annotation(&entry->descriptor, ref_name));
}

/* 1 when the manifest belongs to the image; what cannot be read belongs to nobody. The type is then
 * the manifest's own. */
static int is_referrer(struct sl_oci_layout *layout, struct sl_referrer *entry,
                       const struct sl_digest *image, struct sl_error *err)
{
    SL_AUTO_DONE(sl_source_document) doc = {0};
    SL_AUTO(sl_artifact) artifact = NULL;
    struct sl_error why = {0};
    int r = sl_oci_layout_fetch_entry(layout, &entry->descriptor, &doc, &why);
    if (r == 0)
        r = sl_digest_verify(&entry->descriptor.digest, sl_bytes_span(&doc.bytes), &why);
    if (r == 0)
        r = sl_artifact_parse(sl_bytes_span(&doc.bytes), &artifact, &why);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    if (r < 0 || !artifact || !artifact->has_subject ||
        !sl_digest_is_equal(&artifact->subject, image))
        return 0;
    free(entry->artifact_type);
    entry->artifact_type = sl_steal(&artifact->artifact_type);
    return 1;
}

static int pick(struct sl_oci_layout *layout, struct sl_referrers *entries,
                const struct sl_digest *image, struct sl_referrers *list, struct sl_error *err)
{
    for (size_t i = 0; i < entries->n; i++) {
        struct sl_referrer *entry = &entries->items[i];
        int r = is_candidate(entry) ? is_referrer(layout, entry, image, err) : 0;
        if (r == 1)
            r = sl_referrers_add(list, entry, SL_REFERRERS_MAX, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_tagged(struct sl_source *source, const struct sl_digest *image,
                      struct sl_referrers *list, struct sl_error *err)
{
    SL_AUTO_FREE char *tag = sl_referrers_tag(image);
    SL_AUTO_DONE(sl_source_document) doc = {0};
    if (!tag)
        return sl_error_oom(err);
    int r = layout_by_tag(source, tag, &doc, err);
    if (r <= 0)
        return r;
    struct sl_span bytes = sl_bytes_span(&doc.bytes);
    r = sl_digest_verify(&doc.promised, bytes, err);
    if (r == 0)
        r = sl_referrers_parse(bytes, doc.media_type, SL_REFERRERS_MAX, list, err);
    return r < 0 ? sl_error_wrap(err, r, "tag %.80s", tag) : 0;
}

static int layout_referrers(struct sl_source *source, const struct sl_digest *image,
                            struct sl_referrers *list, struct sl_error *err)
{
    struct sl_oci_layout *layout = layout_of(source);
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_DONE(sl_referrers) entries = {0};
    int r = sl_oci_layout_read_index(layout, &text, err);
    if (r == 0)
        r = sl_referrers_parse(sl_bytes_span(&text), NULL, CANDIDATES_MAX, &entries, err);
    if (r == 0)
        r = pick(layout, &entries, image, list, err);
    return r < 0 ? r : add_tagged(source, image, list, err);
}

const struct sl_attachment_ops sl_oci_layout_attachment_ops = {
    .by_tag = layout_by_tag,
    .by_digest = layout_by_digest,
    .blob = layout_blob,
    .referrers = layout_referrers,
};
