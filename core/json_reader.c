/* SPDX-License-Identifier: Apache-2.0 */
#include "json_text.h"
#include "sluice/core/json.h"

#include <yajl/yajl_parse.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SIZE_DEFAULT = 4 * 1024 * 1024,
    DEPTH_DEFAULT = 32,
    DEPTH_CEILING = 128,
};

struct sl_json {
    enum sl_json_type type;
    char *name; /* as a member of an object */
    char *text; /* of a string or number */
    bool boolean;
    struct sl_json *items; /* of an array or object, in document order */
    size_t n_items, cap_items;
    uint32_t *index; /* of a large object: open hash of item numbers + 1 */
    size_t index_size;
};

struct sl_json_doc {
    struct sl_json root;
};

/* Objects above this many members get a hash index, so that hostile ones cost no O(n²). */
enum { INDEX_FROM = 16 };

struct reader {
    struct sl_json_doc *doc;
    struct sl_json *open[DEPTH_CEILING]; /* containers around the current place */
    size_t depth, depth_max;
    char *pending_name;
    bool has_root;
    struct sl_error *err;
    int r;
};

/* ---- building ---- */

static int fail(struct reader *rd, enum sl_errc code, int errnum, const char *what)
{
    rd->r = sl_error_set(rd->err, code, errnum, "%s", what);
    return 0; /* cancels yajl */
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

/* The node the next value goes into, or NULL after fail(). A container's address is stable while
 * it is open: only its own items array grows. */
static struct sl_json *new_value(struct reader *rd, enum sl_json_type type)
{
    if (rd->depth == 0) {
        rd->has_root = true;
        rd->doc->root.type = type;
        return &rd->doc->root;
    }
    struct sl_json *parent = rd->open[rd->depth - 1];
    struct sl_json *item = append_item(parent);
    if (!item) {
        fail(rd, SL_E_SYSTEM, ENOMEM, "out of memory");
        return NULL;
    }
    item->type = type;
    item->name = sl_steal(&rd->pending_name);
    parent->n_items++;
    if (parent->type == SL_JSON_OBJECT) {
        bool had_index = parent->index && parent->n_items * 2 < parent->index_size;
        if (index_grow(parent) < 0) {
            fail(rd, SL_E_SYSTEM, ENOMEM, "out of memory");
            return NULL;
        }
        if (had_index)
            index_insert(parent, parent->n_items - 1);
    }
    return item;
}

static char *copy_text(struct reader *rd, const unsigned char *s, size_t len)
{
    if (memchr(s, 0, len)) {
        fail(rd, SL_E_FORMAT, EINVAL, "a string holds a NUL character");
        return NULL;
    }
    char *text = malloc(len + 1);
    if (!text) {
        fail(rd, SL_E_SYSTEM, ENOMEM, "out of memory");
        return NULL;
    }
    memcpy(text, s, len);
    text[len] = 0;
    return text;
}

static int on_null(void *ctx)
{
    return new_value(ctx, SL_JSON_NULL) != NULL;
}

static int on_boolean(void *ctx, int value)
{
    struct sl_json *v = new_value(ctx, SL_JSON_BOOL);
    if (!v)
        return 0;
    v->boolean = value;
    return 1;
}

static int on_text(struct reader *rd, enum sl_json_type type, const unsigned char *s, size_t len)
{
    char *text = copy_text(rd, s, len);
    if (!text)
        return 0;
    struct sl_json *v = new_value(rd, type);
    if (!v) {
        sl_secret_free(text);
        return 0;
    }
    v->text = text;
    return 1;
}

static int on_number(void *ctx, const char *s, size_t len)
{
    return on_text(ctx, SL_JSON_NUMBER, (const unsigned char *)s, len);
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
    return on_text(ctx, SL_JSON_STRING, s, len);
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
    struct reader *rd = ctx;
    char *name = copy_text(rd, s, len);
    if (!name)
        return 0;
    rd->pending_name = name;
    if (!sl_json_get(rd->open[rd->depth - 1], name))
        return 1;
    rd->r = sl_error_set(rd->err, SL_E_FORMAT, EINVAL, "member '%.100s' appears twice", name);
    return 0;
}

static int on_open(struct reader *rd, enum sl_json_type type)
{
    if (rd->depth == rd->depth_max)
        return fail(rd, SL_E_LIMIT, E2BIG, "nested too deeply");
    struct sl_json *v = new_value(rd, type);
    if (!v)
        return 0;
    rd->open[rd->depth++] = v;
    return 1;
}

static int on_start_map(void *ctx)
{
    return on_open(ctx, SL_JSON_OBJECT);
}

static int on_start_array(void *ctx)
{
    return on_open(ctx, SL_JSON_ARRAY);
}

static int on_end(void *ctx)
{
    ((struct reader *)ctx)->depth--;
    return 1;
}

static const yajl_callbacks callbacks = {
    .yajl_null = on_null,
    .yajl_boolean = on_boolean,
    .yajl_number = on_number,
    .yajl_string = on_string,
    .yajl_start_map = on_start_map,
    .yajl_map_key = on_key,
    .yajl_end_map = on_end,
    .yajl_start_array = on_start_array,
    .yajl_end_array = on_end,
};

static int syntax_error(struct reader *rd, yajl_handle h)
{
    /* The short form: the long one quotes the text, which may hold a key. */
    unsigned char *why = yajl_get_error(h, 0, NULL, 0);
    const char *text = why ? (const char *)why : "syntax error";
    int r = sl_error_set(rd->err, SL_E_FORMAT, EINVAL, "not valid JSON at byte %zu: %.*s",
                         yajl_get_bytes_consumed(h), (int)strcspn(text, "\n"), text);
    if (why)
        yajl_free_error(h, why);
    return r;
}

static int check_text(struct sl_span text, struct sl_error *err)
{
    size_t at = sl_json_text_check(text);
    if (at == text.len)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "not valid JSON at byte %zu: a character that is not allowed", at);
}

static int read_document(struct reader *rd, struct sl_span text)
{
    int r = check_text(text, rd->err);
    if (r < 0)
        return r;
    yajl_handle h = yajl_alloc(&callbacks, NULL, rd);
    if (!h)
        return sl_error_oom(rd->err);
    yajl_status s = yajl_parse(h, text.data, text.len);
    if (s == yajl_status_ok)
        s = yajl_complete_parse(h);
    r = rd->r;
    if (r == 0 && (s != yajl_status_ok || !rd->has_root))
        r = syntax_error(rd, h);
    yajl_free(h);
    sl_secret_free(rd->pending_name);
    return r;
}

int sl_json_parse(struct sl_span text, const char *what, const struct sl_json_limits *limits,
                  struct sl_json_doc **ret, struct sl_error *err)
{
    size_t size = limits && limits->size ? limits->size : SIZE_DEFAULT;
    size_t depth = limits && limits->depth ? limits->depth : DEPTH_DEFAULT;
    if (text.len > size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: larger than %zu bytes", what, size);
    struct sl_json_doc *doc = calloc(1, sizeof(*doc));
    if (!doc)
        return sl_error_oom(err);
    struct reader rd = {
        .doc = doc, .depth_max = depth < DEPTH_CEILING ? depth : DEPTH_CEILING, .err = err};
    int r = read_document(&rd, text);
    if (r < 0) {
        (void)sl_json_free(doc);
        return sl_error_wrap(err, r, "%s", what);
    }
    *ret = doc;
    return 0;
}

/* Recursion is bounded by DEPTH_CEILING. */
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
