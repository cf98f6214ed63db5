/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which documents of an image are signed. Each is fetched and checked: what an index says of its
 * members is not signed for anybody.
 */
#include "index_entry.h"
#include "signing.h"

#include "sluice/core/limits.h"

#include <stdlib.h>

enum {
    TARGETS_MAX = 512, /* images and indexes in all */
    ENTRIES_MAX = 512, /* of one index */
    DEPTH_MAX = 4,     /* indexes in indexes */
};

static bool is_known(const struct signing *s, const struct sl_digest *digest)
{
    for (size_t i = 0; i < s->n_targets; i++)
        if (sl_digest_is_equal(&s->targets[i].digest, digest))
            return true;
    return false;
}

/* Takes the name of its type from the document. */
static int add_target(struct signing *s, struct sl_image_document *doc, struct sl_error *err)
{
    if (is_known(s, &doc->digest))
        return 0;
    if (s->n_targets == TARGETS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %d images and indexes", TARGETS_MAX);
    struct signing_target *longer = realloc(s->targets, (s->n_targets + 1) * sizeof(*longer));
    if (!longer)
        return sl_error_oom(err);
    s->targets = longer;
    longer[s->n_targets++] = (struct signing_target){
        .media_type = sl_steal(&doc->media_type), .digest = doc->digest, .size = doc->bytes.len};
    return 0;
}

static int add_document(struct signing *s, const struct sl_digest *digest, size_t depth,
                        struct sl_error *err);

static int add_member(struct signing *s, const struct sl_json *entry, size_t depth,
                      struct sl_error *err)
{
    const char *text;
    struct sl_digest digest;
    int r = sl_index_entry_digest(entry, &digest, &text, err);
    if (r < 0)
        return r;
    r = is_known(s, &digest) ? 0 : add_document(s, &digest, depth, err);
    return r < 0 ? sl_error_wrap(err, r, "%.80s", text) : 0;
}

/* Recursion ends at DEPTH_MAX. */
static int add_members(struct signing *s, const struct sl_image_document *doc, size_t depth,
                       struct sl_error *err)
{
    static const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    SL_AUTO(sl_json_doc) json = NULL;
    int r = sl_json_parse(sl_bytes_span(&doc->bytes), "index", &limits, &json, err);
    if (r < 0)
        return r;
    const struct sl_json *entries = sl_json_get(sl_json_root(json), "manifests");
    size_t n = sl_json_count(entries);
    if (n > ENTRIES_MAX || depth > DEPTH_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "an index of %zu entries at depth %zu; the limits are %d and %d", n,
                            depth, ENTRIES_MAX, DEPTH_MAX);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct sl_json *entry = sl_json_at(entries, i);
        if (!sl_index_entry_is_attestation(entry))
            r = add_member(s, entry, depth + 1, err);
    }
    return r;
}

/* Simple signatures are looked for beside images, cosign's beside what a name stands for. */
static int add_document(struct signing *s, const struct sl_digest *digest, size_t depth,
                        struct sl_error *err)
{
    SL_AUTO_DONE(sl_image_document) doc = {0};
    bool is_simple = s->forms == SL_SIGN_SIMPLE;
    bool is_deep = is_simple || s->options->recursive;
    if (sl_visit_is_cancelled(&s->visit))
        return sl_cancel_error(err);
    int r = sl_image_source_document(s->source, digest, &doc, err);
    if (r == 0 && doc.is_index && is_deep)
        r = add_members(s, &doc, depth, err);
    bool is_wanted = !doc.is_index || !is_simple || s->options->recursive;
    return r < 0 || !is_wanted ? r : add_target(s, &doc, err);
}

int sl_sign_find_targets(struct signing *s, struct sl_error *err)
{
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = 0;
    if (s->options->one_platform)
        r = sl_image_source_find(s->source, &s->options->platform, &image, err);
    if (r == 0)
        r = add_document(s, image ? &image->manifest_digest : NULL, /* depth= */ 0, err);
    if (r == 0 && s->n_targets == 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP, "the index lists no image");
    return r;
}
