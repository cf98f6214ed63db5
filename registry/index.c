/* SPDX-License-Identifier: Apache-2.0 */
#include "index.h"

#include "platform_match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INDEX_ENTRIES_MAX = 1024,
    PLATFORM_TEXT_MAX = 128, /* bytes of os, architecture, variant */
    OFFER_MAX = 300,         /* bytes of an error that lists platforms */
};

/* ---- reading ---- */

static int parse_platform_text(const struct sl_json *platform, const char *name, char **ret,
                               struct sl_error *err)
{
    const struct sl_json *member = sl_json_get(platform, name);
    const char *text = sl_json_string(member);
    if (sl_json_type(member) == SL_JSON_NULL)
        return 0;
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "platform: '%s' is not a string", name);
    if (strlen(text) > PLATFORM_TEXT_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "platform: '%s' is longer than %d bytes", name,
                            PLATFORM_TEXT_MAX);
    *ret = strdup(text);
    return *ret ? 0 : sl_error_oom(err);
}

static int parse_platform(const struct sl_json *platform, struct sl_index_entry *entry,
                          struct sl_error *err)
{
    if (sl_json_type(platform) == SL_JSON_NULL)
        return 0;
    if (sl_json_type(platform) != SL_JSON_OBJECT)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "platform is not an object");
    entry->has_platform = true;
    int r = parse_platform_text(platform, "os", &entry->platform.os, err);
    if (r >= 0)
        r = parse_platform_text(platform, "architecture", &entry->platform.architecture, err);
    if (r >= 0)
        r = parse_platform_text(platform, "variant", &entry->platform.variant, err);
    return r;
}

static int parse_entries(const struct sl_json *manifests, struct sl_index *index,
                         struct sl_error *err)
{
    size_t n = sl_json_count(manifests);
    if (sl_json_type(manifests) != SL_JSON_ARRAY)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'manifests' is missing or not an array");
    if (n > INDEX_ENTRIES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu entries, the limit is %d", n,
                            INDEX_ENTRIES_MAX);
    index->entries = calloc(n ? n : 1, sizeof(*index->entries));
    if (!index->entries)
        return sl_error_oom(err);
    index->n_entries = n;
    for (size_t i = 0; i < n; i++) {
        const struct sl_json *node = sl_json_at(manifests, i);
        char what[40];
        (void)snprintf(what, sizeof(what), "entry %zu/%zu", i + 1, n);
        int r = sl_descriptor_parse(node, what, &index->entries[i].descriptor, err);
        if (r < 0)
            return r;
        r = parse_platform(sl_json_get(node, "platform"), &index->entries[i], err);
        if (r < 0)
            return sl_error_wrap(err, r, "%s", what);
    }
    return 0;
}

int sl_index_from_document(const struct sl_document *doc, struct sl_index **ret,
                           struct sl_error *err)
{
    SL_AUTO(sl_index) index = calloc(1, sizeof(*index));
    if (!index)
        return sl_error_oom(err);
    if (doc->kind != SL_DOCUMENT_INDEX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "index: an image manifest stands where an index should");
    int r = parse_entries(sl_json_get(sl_json_root(doc->json), "manifests"), index, err);
    if (r < 0)
        return sl_error_wrap(err, r, "index");
    *ret = sl_steal(&index);
    return 0;
}

int sl_index_parse(struct sl_span json, const char *media_type, struct sl_index **ret,
                   struct sl_error *err)
{
    SL_AUTO(sl_document) doc = NULL;
    int r = sl_document_open(json, media_type, &doc, err);
    return r < 0 ? r : sl_index_from_document(doc, ret, err);
}

struct sl_index *sl_index_free(struct sl_index *index)
{
    if (!index)
        return NULL;
    for (size_t i = 0; i < index->n_entries; i++) {
        struct sl_index_entry *e = &index->entries[i];
        sl_descriptor_done(&e->descriptor);
        free(e->platform.os);
        free(e->platform.architecture);
        free(e->platform.variant);
    }
    free(index->entries);
    free(index);
    return NULL;
}

/* ---- choosing ---- */

static bool text_is(const char *text, const char *expected)
{
    return text && strcmp(text, expected) == 0;
}

/* An image or an index of images, as opposed to what else hangs in an index. */
static bool is_candidate(const struct sl_index_entry *e)
{
    enum sl_document_kind kind;
    return sl_document_kind_of(e->descriptor.media_type, &kind) &&
           !text_is(sl_descriptor_annotation(&e->descriptor, "vnd.docker.reference.type"),
                    "attestation-manifest") &&
           !text_is(e->platform.os, "unknown") && !text_is(e->platform.architecture, "unknown");
}

/* Appends "os/architecture[/variant]" to a list of limited length. */
static void offer(char list[OFFER_MAX], const struct sl_platform *p)
{
    char item[3 * PLATFORM_TEXT_MAX + 8];
    (void)snprintf(item, sizeof(item), "%s/%s%s%s", p->os ? p->os : "?",
                   p->architecture ? p->architecture : "?", p->variant ? "/" : "",
                   p->variant ? p->variant : "");
    size_t len = strlen(list);
    if (len + 2 + strlen(item) < OFFER_MAX)
        (void)snprintf(list + len, OFFER_MAX - len, "%s%s", len ? ", " : "", item);
}

static int refuse_platform(const struct sl_index *index, const struct sl_platform *want,
                           struct sl_error *err)
{
    char list[OFFER_MAX] = "";
    for (size_t i = 0; i < index->n_entries; i++)
        if (index->entries[i].has_platform && is_candidate(&index->entries[i]))
            offer(list, &index->entries[i].platform);
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOENT,
                        "no image for platform %s/%s%s%s; the index offers %s", want->os,
                        want->architecture, want->variant ? "/" : "",
                        want->variant ? want->variant : "", *list ? list : "no platform");
}

int sl_index_select(const struct sl_index *index, const struct sl_platform *want,
                    const struct sl_index_entry **ret, struct sl_error *err)
{
    const struct sl_index_entry *best = NULL, *only = NULL;
    int best_score = -1;
    size_t n_candidates = 0;
    for (size_t i = 0; i < index->n_entries; i++) {
        const struct sl_index_entry *e = &index->entries[i];
        if (!is_candidate(e))
            continue;
        n_candidates++;
        only = e;
        int score = e->has_platform ? sl_platform_match(&e->platform, want) : -1;
        if (score > best_score) {
            best_score = score;
            best = e;
        }
    }
    if (!best && n_candidates == 1 && !only->has_platform)
        best = only;
    if (!best)
        return refuse_platform(index, want, err);
    *ret = best;
    return 0;
}
