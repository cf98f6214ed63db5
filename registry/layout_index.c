/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict JSON reader says what the text means, and a simple scan where its parts lie: the scan
 * only ever sees text that the reader has accepted.
 */
#include "layout_index.h"

#include "sluice/core/json_writer.h"
#include "sluice/core/limits.h"

#include <string.h>

static const char ref_name[] = "org.opencontainers.image.ref.name";

/* ---- the scan ---- */

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1])
            p++;
    return *p ? p + 1 : p;
}

static const char *skip_value(const char *p)
{
    size_t depth = 0;
    do {
        if (*p == '"') {
            p = skip_string(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        else if (depth == 0)
            return p + strcspn(p, ",]} \t\r\n");
        p++;
    } while (depth > 0 && *p);
    return p;
}

/* The value of member i of the object that the text is. */
static const char *find_member(const char *text, size_t i)
{
    const char *p = skip_blanks(text) + 1;
    for (;; i--) {
        p = skip_blanks(skip_string(skip_blanks(p))); /* the name, up to its colon */
        p = skip_blanks(p + 1);
        if (i == 0)
            return p;
        p = skip_blanks(skip_value(p)) + 1; /* the comma */
    }
}

/* ---- what is replaced ---- */

static bool is_replaced(const struct sl_json *node, const struct sl_layout_entry *entry,
                        const char *digest)
{
    const char *tag = sl_json_string(sl_json_get(sl_json_get(node, "annotations"), ref_name));
    if (entry->tag)
        return tag && !strcmp(tag, entry->tag);
    const char *other = sl_json_string(sl_json_get(node, "digest"));
    return !tag && other && !strcmp(other, digest);
}

static bool is_passed_on(const struct sl_layout_entry *entry, size_t i)
{
    return sl_json_string(sl_json_at(entry->annotations, i)) &&
           strcmp(sl_json_name_at(entry->annotations, i), ref_name) != 0;
}

static void put_annotations(struct sl_json_writer *w, const struct sl_layout_entry *entry)
{
    bool is_open = false;
    for (size_t i = 0; i < sl_json_count(entry->annotations); i++) {
        if (!is_passed_on(entry, i))
            continue;
        if (!is_open)
            sl_json_open_object(w, "annotations");
        is_open = true;
        sl_json_put_string(w, sl_json_name_at(entry->annotations, i),
                           sl_json_string(sl_json_at(entry->annotations, i)));
    }
    if (entry->tag && !is_open)
        sl_json_open_object(w, "annotations");
    if (entry->tag)
        sl_json_put_string(w, ref_name, entry->tag);
    if (entry->tag || is_open)
        sl_json_close_object(w);
}

static int format_entry(const struct sl_layout_entry *entry, struct sl_bytes *ret,
                        struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_string(w, "mediaType", entry->media_type);
    sl_json_put_digest(w, "digest", &entry->digest);
    sl_json_put_int(w, "size", (int64_t)entry->size);
    if (entry->artifact_type)
        sl_json_put_string(w, "artifactType", entry->artifact_type);
    put_annotations(w, entry);
    int r = sl_json_end(w, ret, err);
    if (r == 0)
        ret->len--; /* the newline */
    return r;
}

/* ---- the new text ---- */

struct rewrite {
    struct sl_bytes *out;
    int r;
    struct sl_error *err;
};

static void put(struct rewrite *w, const char *from, const char *to)
{
    struct sl_span part = {(const uint8_t *)from, (size_t)(to - from)};
    if (w->r == 0)
        w->r = sl_bytes_append(w->out, part, SL_MANIFEST_MAX, w->err);
}

static void put_element(struct rewrite *w, size_t *n, const char *from, const char *to)
{
    if ((*n)++)
        put(w, ",", &","[1]);
    put(w, from, to);
}

/* list: the array of the reader; text: all of it; at: where the array begins in it. */
static void rewrite_list(struct rewrite *w, const struct sl_json *list, const char *text,
                         const char *at, const struct sl_layout_entry *entry,
                         const struct sl_bytes *fresh)
{
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&entry->digest, digest);
    const char *new = (const char *)fresh->data;
    bool has_put = false;
    size_t n = 0;
    put(w, text, at + 1);
    const char *p = skip_blanks(at + 1);
    for (size_t i = 0; i < sl_json_count(list); i++) {
        const char *end = skip_value(p);
        bool replaced = is_replaced(sl_json_at(list, i), entry, digest);
        if (!replaced)
            put_element(w, &n, p, end);
        else if (!has_put)
            put_element(w, &n, new, new + fresh->len);
        has_put |= replaced;
        p = skip_blanks(end);
        if (*p == ',')
            p = skip_blanks(p + 1);
    }
    if (!has_put)
        put_element(w, &n, new, new + fresh->len);
    put(w, p, text + strlen(text));
}

static int find_list(const struct sl_json *root, size_t *ret_member, const struct sl_json **ret,
                     struct sl_error *err)
{
    for (size_t i = 0; i < sl_json_count(root); i++) {
        const char *name = sl_json_name_at(root, i);
        if (!name || strcmp(name, "manifests") != 0)
            continue;
        *ret_member = i;
        *ret = sl_json_get(root, name);
        if (sl_json_type(*ret) == SL_JSON_ARRAY)
            return 0;
    }
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "index.json: 'manifests' is missing or not an array");
}

int sl_layout_index_put(struct sl_span old, const struct sl_layout_entry *entry,
                        struct sl_bytes *ret, struct sl_error *err)
{
    static const char first[] = "{\"schemaVersion\":2,\"manifests\":[]}";
    static const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO_DONE(sl_bytes) fresh = {0};
    SL_AUTO_DONE(sl_bytes) out = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    const struct sl_json *list = NULL;
    size_t member = 0;
    int r = sl_bytes_append(&text, old.len ? old : sl_span_of(first), SL_MANIFEST_MAX, err);
    if (r == 0)
        r = sl_json_parse(sl_bytes_span(&text), "index.json", &limits, &doc, err);
    if (r == 0)
        r = find_list(sl_json_root(doc), &member, &list, err);
    if (r == 0)
        r = format_entry(entry, &fresh, err);
    if (r < 0)
        return r;
    const char *all = (const char *)text.data;
    struct rewrite w = {.out = &out, .err = err};
    rewrite_list(&w, list, all, find_member(all, member), entry, &fresh);
    if (w.r < 0)
        return sl_error_wrap(err, w.r, "index.json");
    *ret = out;
    out = (struct sl_bytes){0};
    return 0;
}
