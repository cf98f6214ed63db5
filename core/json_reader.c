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
    yajl_handle yajl;
    struct sl_span text;
    size_t token_end; /* of the last token that was a value or a name, or opened or closed one */
    size_t place_at;  /* the byte builder.place is about */
};

/* ---- places ---- */

/* Only forward, so that a document costs one walk. */
static void set_place(struct reader *rd, size_t at)
{
    struct sl_json_place *place = &rd->builder.place;
    for (; rd->place_at < at; rd->place_at++) {
        uint8_t c = rd->text.data[rd->place_at];
        bool is_continued = (c & 0xc0) == 0x80; /* of a UTF-8 sequence */
        if (c == '\n')
            *place = (struct sl_json_place){place->line + 1, 1};
        else if (!is_continued)
            place->column++;
    }
}

static size_t token_start(const struct reader *rd)
{
    static const char between[] = {' ', '\t', '\r', '\n', ',', ':'};
    size_t at = rd->token_end;
    while (at < rd->text.len && memchr(between, rd->text.data[at], sizeof(between)))
        at++;
    return at;
}

static void begin_token(struct reader *rd)
{
    set_place(rd, token_start(rd));
    /* The end of the text makes yajl count anew. */
    size_t end = yajl_get_bytes_consumed(rd->yajl);
    if (end > rd->token_end)
        rd->token_end = end;
}

static int wrap_place(struct reader *rd, int r)
{
    const struct sl_json_place *place = &rd->builder.place;
    return sl_error_wrap(rd->err, r, "line %u, column %u", place->line, place->column);
}

/* ---- what yajl tells ---- */

static int go_on(struct reader *rd, int r)
{
    rd->r = r;
    return r == 0; /* else yajl is cancelled */
}

static int on_null(void *ctx)
{
    struct reader *rd = ctx;
    begin_token(rd);
    return go_on(rd, sl_json_build_null(&rd->builder, rd->err));
}

static int on_boolean(void *ctx, int value)
{
    struct reader *rd = ctx;
    begin_token(rd);
    return go_on(rd, sl_json_build_bool(&rd->builder, value, rd->err));
}

static int on_number(void *ctx, const char *s, size_t len)
{
    struct reader *rd = ctx;
    begin_token(rd);
    struct sl_span text = {(const uint8_t *)s, len};
    return go_on(rd, sl_json_build_text(&rd->builder, SL_JSON_NUMBER, text, rd->err));
}

static int on_string(void *ctx, const unsigned char *s, size_t len)
{
    struct reader *rd = ctx;
    begin_token(rd);
    struct sl_span text = {s, len};
    return go_on(rd, sl_json_build_text(&rd->builder, SL_JSON_STRING, text, rd->err));
}

static int on_key(void *ctx, const unsigned char *s, size_t len)
{
    struct reader *rd = ctx;
    begin_token(rd);
    return go_on(rd, sl_json_build_name(&rd->builder, (struct sl_span){s, len}, rd->err));
}

static int on_start_map(void *ctx)
{
    struct reader *rd = ctx;
    begin_token(rd);
    return go_on(rd, sl_json_build_open(&rd->builder, SL_JSON_OBJECT, rd->err));
}

static int on_start_array(void *ctx)
{
    struct reader *rd = ctx;
    begin_token(rd);
    return go_on(rd, sl_json_build_open(&rd->builder, SL_JSON_ARRAY, rd->err));
}

static int on_end(void *ctx)
{
    struct reader *rd = ctx;
    begin_token(rd);
    sl_json_build_close(&rd->builder);
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

static int syntax_error(struct reader *rd, bool is_at_end)
{
    size_t at = token_start(rd);
    size_t consumed = yajl_get_bytes_consumed(rd->yajl);
    /* It may be one of the commas and colons that were skipped. */
    if (!is_at_end && consumed && at >= consumed)
        at = consumed - 1;
    set_place(rd, at);
    /* The short form: the long one quotes the text, which may hold a key. */
    unsigned char *why = yajl_get_error(rd->yajl, 0, NULL, 0);
    const char *text = why ? (const char *)why : "syntax error";
    int r = sl_error_set(rd->err, SL_E_FORMAT, EINVAL, "not valid JSON: %.*s",
                         (int)strcspn(text, "\n"), text);
    if (why)
        yajl_free_error(rd->yajl, why);
    return wrap_place(rd, r);
}

static int check_text(struct reader *rd)
{
    size_t at = sl_json_text_check(rd->text);
    if (at == rd->text.len)
        return 0;
    set_place(rd, at);
    int r = sl_error_set(rd->err, SL_E_FORMAT, EINVAL,
                         "not valid JSON: a character that is not allowed");
    return wrap_place(rd, r);
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

static int parse(struct reader *rd, struct arena *arena)
{
    yajl_alloc_funcs memory = {arena_malloc, arena_realloc, arena_free, arena};
    rd->yajl = yajl_alloc(&callbacks, &memory, rd);
    if (!rd->yajl)
        return sl_error_oom(rd->err);
    yajl_status s = yajl_parse(rd->yajl, rd->text.data, rd->text.len);
    bool is_at_end = s == yajl_status_ok;
    if (is_at_end)
        s = yajl_complete_parse(rd->yajl);
    int r = rd->r;
    if (r < 0 && r != -ENOMEM)
        r = wrap_place(rd, r);
    else if (r == 0 && (s != yajl_status_ok || !rd->builder.n_nodes))
        r = syntax_error(rd, is_at_end);
    yajl_free(rd->yajl);
    return r;
}

static int read_document(struct reader *rd)
{
    struct arena arena = {0};
    int r = check_text(rd);
    if (r == 0)
        r = arena_open(&arena, rd->text.len, rd->err);
    if (r < 0)
        return r;
    r = parse(rd, &arena);
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
    struct reader rd = {.err = err, .text = text};
    /* The size is limit enough for their number. */
    int r =
        sl_json_builder_init(&rd.builder, limits ? limits->depth : 0, /* nodes_max= */ size, err);
    rd.builder.place = (struct sl_json_place){1, 1};
    if (r == 0)
        r = read_document(&rd);
    if (r == 0)
        *ret = sl_steal(&rd.builder.doc);
    sl_json_builder_done(&rd.builder);
    return r < 0 ? sl_error_wrap(err, r, "%s", what) : 0;
}
