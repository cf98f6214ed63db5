/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of a conversion: one image, or all images of an index and the indexes around
 * them. Each document is fetched and converted once, however often it is listed.
 */
#include "conversion.h"

#include "index_entry.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

enum {
    DOCUMENTS_MAX = 512, /* images and indexes in all */
    ENTRIES_MAX = 512,   /* of one index */
    DEPTH_MAX = 4,       /* indexes in indexes */
};

struct convert_document *sl_convert_document_free(struct convert_document *doc)
{
    if (!doc)
        return NULL;
    sl_image_document_done(&doc->from);
    (void)sl_json_free(doc->json);
    (void)sl_manifest_free(doc->manifest);
    free(doc->layers);
    free(doc->diff_ids);
    free(doc->members);
    sl_bytes_done(&doc->bytes);
    free(doc);
    return NULL;
}

static struct convert_document *find_document(const struct conversion *c,
                                              const struct sl_digest *digest)
{
    for (size_t i = 0; i < c->n_documents; i++)
        if (sl_digest_is_equal(&c->documents[i]->from.digest, digest))
            return c->documents[i];
    return NULL;
}

/* Takes the document; gives it borrowed. */
static int add_document(struct conversion *c, struct convert_document **docp,
                        struct convert_document **ret, struct sl_error *err)
{
    if (c->n_documents == DOCUMENTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d images and indexes",
                            DOCUMENTS_MAX);
    struct convert_document **longer =
        realloc(c->documents, (c->n_documents + 1) * sizeof(struct convert_document *));
    if (!longer)
        return sl_error_oom(err);
    c->documents = longer;
    *ret = longer[c->n_documents++] = sl_steal(docp);
    return 0;
}

/* ---- an image ---- */

static int take_diff_ids(struct convert_document *doc, struct sl_image_config *config,
                         struct sl_error *err)
{
    if (config->n_diff_ids != doc->manifest->n_layers)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%zu diff_ids for %zu layers of the manifest",
                            config->n_diff_ids, doc->manifest->n_layers);
    doc->diff_ids = sl_steal(&config->diff_ids);
    return 0;
}

/* Only its diff_ids are kept: hundreds of configs may be large. It is fetched again to be copied.
 */
static int read_config(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    SL_AUTO(sl_image_config) config = NULL;
    int r = sl_image_source_blob(c->source, &doc->manifest->config, SL_CONFIG_MAX, &bytes, err);
    if (r >= 0)
        r = sl_image_config_parse(sl_bytes_span(&bytes), &config, err);
    if (r >= 0)
        r = take_diff_ids(doc, config, err);
    return r < 0 ? sl_error_wrap(err, r, "image config") : 0;
}

static bool has_encrypted_layer(const struct sl_manifest *manifest)
{
    for (size_t i = 0; i < manifest->n_layers; i++)
        if (sl_convert_is_encrypted(&manifest->layers[i]))
            return true;
    return false;
}

static int read_manifest(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    int r = sl_manifest_parse(sl_bytes_span(&doc->from.bytes), doc->from.media_type, &doc->manifest,
                              err);
    if (r < 0)
        return r;
    doc->layers = calloc(doc->manifest->n_layers + 1, sizeof(struct convert_layer *));
    if (!doc->layers)
        return sl_error_oom(err);
    c->n_manifests++;
    return !c->encrypts && has_encrypted_layer(doc->manifest) ? read_config(c, doc, err) : 0;
}

/* ---- an index ---- */

static int fetch_document(struct conversion *c, const struct sl_digest *digest, size_t depth,
                          struct convert_document **ret, struct sl_error *err);

static int fetch_member(struct conversion *c, const struct sl_json *entry, size_t depth,
                        struct convert_document **ret, struct sl_error *err)
{
    const char *text;
    struct sl_digest digest;
    int r = sl_index_entry_digest(entry, &digest, &text, err);
    if (r < 0)
        return r;
    *ret = find_document(c, &digest);
    if (*ret)
        return 0;
    r = fetch_document(c, &digest, depth, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%.80s", text) : 0;
}

/* Recursion ends at DEPTH_MAX. */
static int read_index(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    const struct sl_json *entries = sl_json_get(sl_json_root(doc->json), "manifests");
    size_t n = sl_json_count(entries);
    if (sl_json_type(entries) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'manifests' is missing or not an array");
    if (n > ENTRIES_MAX || doc->depth > DEPTH_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "an index of %zu entries at depth %zu; the limits are %d and %d", n,
                            doc->depth, ENTRIES_MAX, DEPTH_MAX);
    doc->members = calloc(n + 1, sizeof(struct convert_document *));
    if (!doc->members)
        return sl_error_oom(err);
    doc->n_members = n;
    for (size_t i = 0; i < n; i++) {
        const struct sl_json *entry = sl_json_at(entries, i);
        /* It speaks of a digest that will be another one. */
        if (sl_index_entry_is_attestation(entry)) {
            c->n_dropped++;
            continue;
        }
        int r = fetch_member(c, entry, doc->depth + 1, &doc->members[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- any document ---- */

static int read_document(struct conversion *c, struct convert_document *doc, struct sl_error *err)
{
    const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    int r = sl_json_parse(sl_bytes_span(&doc->from.bytes),
                          doc->from.is_index ? "index" : "manifest", &limits, &doc->json, err);
    if (r < 0)
        return r;
    return doc->from.is_index ? read_index(c, doc, err) : read_manifest(c, doc, err);
}

static int fetch_document(struct conversion *c, const struct sl_digest *digest, size_t depth,
                          struct convert_document **ret, struct sl_error *err)
{
    SL_AUTO(convert_document) doc = calloc(1, sizeof(*doc));
    if (!doc)
        return sl_error_oom(err);
    doc->depth = depth;
    int r = sl_image_source_document(c->source, digest, &doc->from, err);
    if (r >= 0)
        r = read_document(c, doc, err);
    /* Behind what it lists. */
    return r < 0 ? r : add_document(c, &doc, ret, err);
}

/* The one image of an index that is wanted, as if there were no other. */
static int choose_digest(struct conversion *c, struct sl_digest *ret, struct sl_error *err)
{
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_source_resolve(c->source, &c->options->platform, &image, err);
    if (r >= 0)
        *ret = image->manifest_digest;
    return r;
}

int sl_convert_fetch(struct conversion *c, struct sl_error *err)
{
    struct convert_document *root;
    struct sl_digest chosen;
    int r = 0;
    if (c->options->one_platform)
        r = choose_digest(c, &chosen, err);
    if (r >= 0)
        r = fetch_document(c, c->options->one_platform ? &chosen : NULL, /* depth= */ 0, &root,
                           err);
    if (r < 0)
        return r;
    if (c->n_manifests == 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "the index lists no image");
    c->report.is_index = root->from.is_index;
    return 0;
}

/* ---- and back ---- */

static void put_members(struct sl_json_writer *w, const struct sl_json *entries,
                        const struct convert_document *doc)
{
    sl_json_open_array(w, "manifests");
    for (size_t i = 0; i < doc->n_members; i++) {
        const struct convert_document *member = doc->members[i];
        if (!member)
            continue;
        const struct convert_edit edit = {.media_type = member->media_type,
                                          .digest = &member->digest,
                                          .size = member->bytes.len,
                                          .has_other_bytes = member->is_rewritten};
        sl_convert_put_descriptor(w, NULL, sl_json_at(entries, i), &edit);
    }
    sl_json_close_array(w);
}

int sl_convert_write_index(struct convert_document *doc, bool to_oci, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    const struct sl_json *root = sl_json_root(doc->json);
    doc->media_type = to_oci ? sl_convert_oci_type(doc->from.media_type) : doc->from.media_type;
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        if (strcmp(name, "mediaType") == 0)
            sl_json_put_string(w, name, doc->media_type);
        else if (strcmp(name, "manifests") == 0)
            put_members(w, sl_json_at(root, i), doc);
        else
            sl_json_put_node(w, name, sl_json_at(root, i));
    }
    return sl_convert_end_document(doc, w, err);
}
