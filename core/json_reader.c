/* SPDX-License-Identifier: Apache-2.0 */
#include "json_text.h"
#include "json_tree.h"
#include "sluice/core/wiping_heap.h"

#include <yajl/yajl_parse.h>

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_DEFAULT = 4 * 1024 * 1024 };

struct reader {
    struct sl_json_builder builder;
    struct sl_error *err;
    int r;
};

static int go_on(struct reader *rd, int r)
{
    rd->r = r;
    return r == 0; /* else yajl is cancelled */
}

static int on_null(void *ctx)
{
    struct reader *rd = ctx;
    return go_on(rd, sl_json_build_null(&rd->builder, rd->err));
}

static int on_boolean(void *ctx, int value)
{
    struct reader *rd = ctx;
    return go_on(rd, sl_json_build_bool(&rd->builder, value, rd->err));
}

static int on_number(void *ctx, const char *s, size_t len)
{
    struct reader *rd = ctx;
    struct sl_span text = {(const uint8_t *)s, len};
    return go_on(rd, sl_json_build_text(&rd->builder, SL_JSON_NUMBER, text, rd->err));
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
    struct reader *rd = ctx;
    struct sl_span text = {s, len};
    return go_on(rd, sl_json_build_text(&rd->builder, SL_JSON_STRING, text, rd->err));
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
    struct reader *rd = ctx;
    return go_on(rd, sl_json_build_name(&rd->builder, (struct sl_span){s, len}, rd->err));
}

static int on_start_map(void *ctx)
{
    struct reader *rd = ctx;
    return go_on(rd, sl_json_build_open(&rd->builder, SL_JSON_OBJECT, rd->err));
}

static int on_start_array(void *ctx)
{
    struct reader *rd = ctx;
    return go_on(rd, sl_json_build_open(&rd->builder, SL_JSON_ARRAY, rd->err));
}

static int on_end(void *ctx)
{
    sl_json_build_close(&((struct reader *)ctx)->builder);
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

static int syntax_error(yajl_handle h, struct sl_error *err)
{
    /* The short form: the long one quotes the text, which may hold a key. */
    unsigned char *why = yajl_get_error(h, 0, NULL, 0);
    const char *text = why ? (const char *)why : "syntax error";
    int r = sl_error_set(err, SL_E_FORMAT, EINVAL, "not valid JSON at byte %zu: %.*s",
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

/* ---- memory for yajl ---- */

/* yajl decodes strings with escapes in memory of its own, and does not bear to be refused any. So
 * it gets a share that fits the text beforehand, which is wiped as a whole. */
struct arena {
    uint8_t *memory;
    size_t size, used;
};

struct block {
    size_t size; /* of what follows */
    alignas(max_align_t) uint8_t data[];
};

enum {
    ARENA_BASE = 16 * 1024, /* its handle, lexer, stack of states, smallest buffers, messages */
    ARENA_FACTOR = 8,       /* a token decoded and one cut short, each in a buffer that doubles */
};

static int arena_open(struct arena *a, size_t text_size, struct sl_error *err)
{
    a->size = ARENA_BASE + ARENA_FACTOR * text_size;
    a->memory = malloc(a->size);
    return a->memory ? 0 : sl_error_oom(err);
}

static void arena_close(struct arena *a)
{
    sl_wipe(a->memory, a->used);
    free(a->memory);
}

static bool arena_owns(const struct arena *a, const void *p)
{
    return (uintptr_t)p - (uintptr_t)a->memory < a->size;
}

static void *arena_malloc(void *ctx, size_t size)
{
    struct arena *a = ctx;
    const size_t unit = alignof(max_align_t);
    size_t need = sizeof(struct block) + (size + unit - 1) / unit * unit;
    if (size > a->size || need > a->size - a->used)
        return malloc(size);
    struct block *block = (struct block *)(a->memory + a->used);
    a->used += need;
    block->size = size;
    return block->data;
}

static void arena_free(void *ctx, void *p)
{
    if (!arena_owns(ctx, p))
        sl_wiping_free(p);
}

static void *arena_realloc(void *ctx, void *p, size_t size)
{
    if (p && !arena_owns(ctx, p))
        return sl_wiping_realloc(p, size);
    void *moved = arena_malloc(ctx, size);
    if (!moved || !p)
        return moved;
    size_t old = ((struct block *)((uint8_t *)p - offsetof(struct block, data)))->size;
    memcpy(moved, p, old < size ? old : size);
    return moved;
}

/* ---- the document ---- */

static int parse(struct reader *rd, struct sl_span text, struct arena *arena)
{
    yajl_alloc_funcs memory = {arena_malloc, arena_realloc, arena_free, arena};
    yajl_handle h = yajl_alloc(&callbacks, &memory, rd);
    if (!h)
        return sl_error_oom(rd->err);
    yajl_status s = yajl_parse(h, text.data, text.len);
    if (s == yajl_status_ok)
        s = yajl_complete_parse(h);
    int r = rd->r;
    if (r == 0 && (s != yajl_status_ok || !rd->builder.n_nodes))
        r = syntax_error(h, rd->err);
    yajl_free(h);
    return r;
}

static int read_document(struct reader *rd, struct sl_span text)
{
    struct arena arena = {0};
    int r = check_text(text, rd->err);
    if (r == 0)
        r = arena_open(&arena, text.len, rd->err);
    if (r < 0)
        return r;
    r = parse(rd, text, &arena);
    arena_close(&arena);
    sl_wipe_stack(); /* yajl copies by way of registers, and binds its functions late */
    return r;
}

int sl_json_parse(struct sl_span text, const char *what, const struct sl_json_limits *limits,
                  struct sl_json_doc **ret, struct sl_error *err)
{
    size_t size = limits && limits->size ? limits->size : SIZE_DEFAULT;
    if (text.len > size)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: larger than %zu bytes", what, size);
    struct reader rd = {.err = err};
    /* The size is limit enough for their number. */
    int r =
        sl_json_builder_init(&rd.builder, limits ? limits->depth : 0, /* nodes_max= */ size, err);
    if (r == 0)
        r = read_document(&rd, text);
    if (r == 0)
        *ret = sl_steal(&rd.builder.doc);
    sl_json_builder_done(&rd.builder);
    return r < 0 ? sl_error_wrap(err, r, "%s", what) : 0;
}
