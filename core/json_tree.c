/* SPDX-License-Identifier: Apache-2.0 */
#include "json_tree.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_DEFAULT = 32 };

/* Objects above this many members get a hash index, so that hostile ones cost no O(n²). */
enum { INDEX_FROM = 16 };

struct sl_json {
    enum sl_json_type type;
    char *name; /* as a member of an object */
    char *text; /* of a string or number */
    bool boolean;
    struct sl_json_place place;
    struct sl_json *items; /* of an array or object, in document order */
    size_t n_items, cap_items;
    uint32_t *index; /* of a large object: open hash of item numbers + 1 */
    size_t index_size;
};

struct sl_json_doc {
    struct sl_json root;
};

/* ---- building ---- */

int sl_json_builder_init(struct sl_json_builder *b, size_t depth_max, size_t nodes_max,
                         struct sl_error *err)
{
    size_t depth = depth_max ? depth_max : DEPTH_DEFAULT;
    *b = (struct sl_json_builder){
        .depth_max = depth < SL_JSON_DEPTH_CEILING ? depth : SL_JSON_DEPTH_CEILING,
        .nodes_max = nodes_max,
    };
    b->doc = calloc(1, sizeof(*b->doc));
    return b->doc ? 0 : sl_error_oom(err);
}

void sl_json_builder_done(struct sl_json_builder *b)
{
    b->doc = sl_json_free(b->doc);
    sl_secret_free(sl_steal(&b->pending_name));
}

static uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261U;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619U;
    return h;
}

static void index_insert(struct sl_json *object, size_t item)
{
    size_t mask = object->index_size - 1;
    size_t i = hash_name(object->items[item].name) & mask;
    while (object->index[i])
        i = (i + 1) & mask;
    object->index[i] = (uint32_t)item + 1;
}

static int index_grow(struct sl_json *object)
{
    if (object->n_items < INDEX_FROM || object->n_items * 2 < object->index_size)
        return 0;
    size_t size = object->index_size ? object->index_size * 4 : (size_t)INDEX_FROM * 8;
    uint32_t *index = calloc(size, sizeof(*index));
    if (!index)
        return -ENOMEM;
    free(object->index);
    object->index = index;
    object->index_size = size;
    for (size_t i = 0; i < object->n_items; i++)
        index_insert(object, i);
    return 0;
}

static struct sl_json *append_item(struct sl_json *parent)
{
    if (parent->n_items == parent->cap_items) {
        size_t cap = parent->cap_items ? parent->cap_items * 2 : 4;
        struct sl_json *items = realloc(parent->items, cap * sizeof(*items));
        if (!items)
            return NULL;
        parent->items = items;
        parent->cap_items = cap;
    }
    struct sl_json *item = &parent->items[parent->n_items];
    *item = (struct sl_json){0};
    return item;
}

/* The node the next value goes into. A container's address is stable while it is open: only its
 * own items array grows. */
static int new_value(struct sl_json_builder *b, enum sl_json_type type, struct sl_json **ret,
                     struct sl_error *err)
{
    if (b->n_nodes == b->nodes_max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "more than %zu values", b->nodes_max);
    b->n_nodes++;
    if (b->depth == 0) {
        b->doc->root.type = type;
        b->doc->root.place = b->place;
        *ret = &b->doc->root;
        return 0;
    }
    struct sl_json *parent = b->open[b->depth - 1];
    struct sl_json *item = append_item(parent);
    if (!item)
        return sl_error_oom(err);
    item->type = type;
    item->place = b->pending_name ? b->pending_place : b->place;
    item->name = sl_steal(&b->pending_name);
    parent->n_items++;
    if (parent->type == SL_JSON_OBJECT) {
        bool had_index = parent->index && parent->n_items * 2 < parent->index_size;
        if (index_grow(parent) < 0)
            return sl_error_oom(err);
        if (had_index)
            index_insert(parent, parent->n_items - 1);
    }
    *ret = item;
    return 0;
}

static int copy_text(struct sl_span from, char **ret, struct sl_error *err)
{
    if (from.len && memchr(from.data, 0, from.len))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a string holds a NUL character");
    char *text = malloc(from.len + 1);
    if (!text)
        return sl_error_oom(err);
    if (from.len)
        memcpy(text, from.data, from.len);
    text[from.len] = 0;
    *ret = text;
    return 0;
}

int sl_json_build_null(struct sl_json_builder *b, struct sl_error *err)
{
    struct sl_json *v;
    return new_value(b, SL_JSON_NULL, &v, err);
}

int sl_json_build_bool(struct sl_json_builder *b, bool value, struct sl_error *err)
{
    struct sl_json *v;
    int r = new_value(b, SL_JSON_BOOL, &v, err);
    if (r == 0)
        v->boolean = value;
    return r;
}

int sl_json_build_text(struct sl_json_builder *b, enum sl_json_type type, struct sl_span text,
                       struct sl_error *err)
{
    SL_AUTO_SECRET copy = NULL;
    struct sl_json *v;
    int r = copy_text(text, &copy, err);
    if (r == 0)
        r = new_value(b, type, &v, err);
    if (r == 0)
        v->text = sl_steal(&copy);
    return r;
}

int sl_json_build_name(struct sl_json_builder *b, struct sl_span name, struct sl_error *err)
{
    int r = copy_text(name, &b->pending_name, err);
    b->pending_place = b->place;
    if (r < 0 || !sl_json_get(b->open[b->depth - 1], b->pending_name))
        return r;
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "member '%.100s' appears twice", b->pending_name);
}

int sl_json_build_open(struct sl_json_builder *b, enum sl_json_type type, struct sl_error *err)
{
    if (b->depth == b->depth_max)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "nested too deeply");
    struct sl_json *v;
    int r = new_value(b, type, &v, err);
    if (r == 0)
        b->open[b->depth++] = v;
    return r;
}

void sl_json_build_close(struct sl_json_builder *b)
{
    b->depth--;
}

/* Recursion is bounded by SL_JSON_DEPTH_CEILING. */
static void node_done(struct sl_json *node)
{
    sl_secret_free(node->name);
    sl_secret_free(node->text);
    for (size_t i = 0; i < node->n_items; i++)
        node_done(&node->items[i]);
    free(node->items);
    free(node->index);
}

struct sl_json_doc *sl_json_free(struct sl_json_doc *doc)
{
    if (doc)
        node_done(&doc->root);
    free(doc);
    return NULL;
}

/* ---- reading ---- */

const struct sl_json *sl_json_root(const struct sl_json_doc *doc)
{
    return doc ? &doc->root : NULL;
}

enum sl_json_type sl_json_type(const struct sl_json *node)
{
    return node ? node->type : SL_JSON_NULL;
}

static const struct sl_json *find_indexed(const struct sl_json *object, const char *name)
{
    size_t mask = object->index_size - 1;
    for (size_t i = hash_name(name) & mask; object->index[i]; i = (i + 1) & mask) {
        const struct sl_json *item = &object->items[object->index[i] - 1];
        if (strcmp(item->name, name) == 0)
            return item;
    }
    return NULL;
}

const struct sl_json *sl_json_get(const struct sl_json *object, const char *name)
{
    if (sl_json_type(object) != SL_JSON_OBJECT)
        return NULL;
    if (object->index)
        return find_indexed(object, name);
    for (size_t i = 0; i < object->n_items; i++)
        if (strcmp(object->items[i].name, name) == 0)
            return &object->items[i];
    return NULL;
}

struct sl_json_place sl_json_place_of(const struct sl_json *node)
{
    return node ? node->place : (struct sl_json_place){0};
}

int sl_json_wrap(const struct sl_json *node, struct sl_error *err, int r)
{
    struct sl_json_place place = sl_json_place_of(node);
    return place.line ? sl_error_wrap(err, r, "line %u, column %u", place.line, place.column) : r;
}

size_t sl_json_count(const struct sl_json *node)
{
    return node ? node->n_items : 0;
}

const struct sl_json *sl_json_at(const struct sl_json *node, size_t i)
{
    return i < sl_json_count(node) ? &node->items[i] : NULL;
}

const char *sl_json_name_at(const struct sl_json *object, size_t i)
{
    const struct sl_json *item = sl_json_at(object, i);
    return item ? item->name : NULL;
}

const char *sl_json_string(const struct sl_json *node)
{
    return sl_json_type(node) == SL_JSON_STRING ? node->text : NULL;
}

const char *sl_json_number(const struct sl_json *node)
{
    return sl_json_type(node) == SL_JSON_NUMBER ? node->text : NULL;
}

bool sl_json_int64(const struct sl_json *node, int64_t *ret)
{
    if (sl_json_type(node) != SL_JSON_NUMBER)
        return false;
    char *end;
    int saved = errno;
    errno = 0;
    long long v = strtoll(node->text, &end, 10);
    bool ok = errno == 0 && *end == 0;
    errno = saved;
    if (ok)
        *ret = v;
    return ok;
}

bool sl_json_bool(const struct sl_json *node, bool *ret)
{
    if (sl_json_type(node) != SL_JSON_BOOL)
        return false;
    *ret = node->boolean;
    return true;
}

int sl_json_need_string(const struct sl_json *object, const char *name, const char **ret,
                        struct sl_error *err)
{
    const struct sl_json *node = sl_json_get(object, name);
    if (!node)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "member '%s' is missing", name);
    const char *text = sl_json_string(node);
    if (!text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "member '%s' must be a string", name);
    *ret = text;
    return 0;
}

int sl_json_need_base64(const struct sl_json *object, const char *name, struct sl_bytes *ret,
                        struct sl_error *err)
{
    const char *text = NULL;
    int r = sl_json_need_string(object, name, &text, err);
    if (r == 0)
        r = sl_base64_decode(sl_span_of(text), ret, err);
    return r;
}
