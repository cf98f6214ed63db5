/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/json_writer.h"

#include <yajl/yajl_gen.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENT_MAX = 64 * 1024 * 1024 }; /* bytes; above what the sources' own limits allow */

struct sl_json_writer {
    yajl_gen gen;
    yajl_gen_status status;
};

static void note(struct sl_json_writer *w, yajl_gen_status status)
{
    if (w->status == yajl_gen_status_ok)
        w->status = status;
}

static void put(struct sl_json_writer *w, const char *text)
{
    note(w, yajl_gen_string(w->gen, (const unsigned char *)text, strlen(text)));
}

static bool put_name(struct sl_json_writer *w, const char *name)
{
    if (w && name)
        put(w, name);
    return w != NULL;
}

struct sl_json_writer *sl_json_writer_new(bool pretty)
{
    SL_AUTO(sl_json_writer) w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->gen = yajl_gen_alloc(NULL);
    if (!w->gen)
        return NULL;
    (void)yajl_gen_config(w->gen, yajl_gen_validate_utf8, 1);
    (void)yajl_gen_config(w->gen, yajl_gen_beautify, (int)pretty);
    (void)yajl_gen_config(w->gen, yajl_gen_indent_string, "  ");
    w->status = yajl_gen_status_ok;
    note(w, yajl_gen_map_open(w->gen));
    return sl_steal(&w);
}

struct sl_json_writer *sl_json_writer_free(struct sl_json_writer *w)
{
    if (w && w->gen)
        yajl_gen_free(w->gen);
    free(w);
    return NULL;
}

void sl_json_put_string(struct sl_json_writer *w, const char *name, const char *value)
{
    if (put_name(w, name))
        put(w, value);
}

void sl_json_put_strings(struct sl_json_writer *w, const char *name, char *const *values)
{
    sl_json_open_array(w, name);
    for (; values && *values; values++)
        sl_json_put_string(w, NULL, *values);
    sl_json_close_array(w);
}

void sl_json_put_digest(struct sl_json_writer *w, const char *name, const struct sl_digest *value)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(value, text);
    sl_json_put_string(w, name, text);
}

void sl_json_put_digests(struct sl_json_writer *w, const char *name, const struct sl_digest *values,
                         size_t n)
{
    sl_json_open_array(w, name);
    for (size_t i = 0; i < n; i++)
        sl_json_put_digest(w, NULL, &values[i]);
    sl_json_close_array(w);
}

void sl_json_put_base64(struct sl_json_writer *w, const char *name, struct sl_span value)
{
    SL_AUTO_FREE char *text = sl_base64_encode(value);
    if (text)
        sl_json_put_string(w, name, text);
    else if (w)
        note(w, yajl_gen_in_error_state);
}

void sl_json_put_bool(struct sl_json_writer *w, const char *name, bool value)
{
    if (put_name(w, name))
        note(w, yajl_gen_bool(w->gen, value));
}

void sl_json_put_int(struct sl_json_writer *w, const char *name, int64_t value)
{
    if (put_name(w, name))
        note(w, yajl_gen_integer(w->gen, value));
}

void sl_json_put_decimal(struct sl_json_writer *w, const char *name, double value)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%.6f", value);
    if (put_name(w, name))
        note(w, yajl_gen_number(w->gen, text, (size_t)n));
}

void sl_json_open_object(struct sl_json_writer *w, const char *name)
{
    if (put_name(w, name))
        note(w, yajl_gen_map_open(w->gen));
}

void sl_json_close_object(struct sl_json_writer *w)
{
    if (w)
        note(w, yajl_gen_map_close(w->gen));
}

void sl_json_open_array(struct sl_json_writer *w, const char *name)
{
    if (put_name(w, name))
        note(w, yajl_gen_array_open(w->gen));
}

void sl_json_close_array(struct sl_json_writer *w)
{
    if (w)
        note(w, yajl_gen_array_close(w->gen));
}

/* ---- what was read ---- */

static void put_number(struct sl_json_writer *w, const char *name, const char *text)
{
    if (put_name(w, name))
        note(w, yajl_gen_number(w->gen, text, strlen(text)));
}

static void put_null(struct sl_json_writer *w, const char *name)
{
    if (put_name(w, name))
        note(w, yajl_gen_null(w->gen));
}

static void put_items(struct sl_json_writer *w, const struct sl_json *container)
{
    for (size_t i = 0; i < sl_json_count(container); i++)
        sl_json_put_node(w, sl_json_name_at(container, i), sl_json_at(container, i));
}

/* Recursion is bounded by the reader's limit. */
void sl_json_put_node(struct sl_json_writer *w, const char *name, const struct sl_json *node)
{
    bool truth = false;
    switch (sl_json_type(node)) {
    case SL_JSON_OBJECT:
        sl_json_open_object(w, name);
        put_items(w, node);
        sl_json_close_object(w);
        return;
    case SL_JSON_ARRAY:
        sl_json_open_array(w, name);
        put_items(w, node);
        sl_json_close_array(w);
        return;
    case SL_JSON_STRING:
        sl_json_put_string(w, name, sl_json_string(node));
        return;
    case SL_JSON_NUMBER:
        put_number(w, name, sl_json_number(node));
        return;
    case SL_JSON_BOOL:
        (void)sl_json_bool(node, &truth);
        sl_json_put_bool(w, name, truth);
        return;
    case SL_JSON_NULL:
        put_null(w, name);
        return;
    }
}

/* ---- the end ---- */

int sl_json_end(struct sl_json_writer *w, struct sl_bytes *ret, struct sl_error *err)
{
    if (!w)
        return sl_error_oom(err);
    note(w, yajl_gen_map_close(w->gen));
    if (w->status == yajl_gen_invalid_string)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "cannot write JSON: a text is not UTF-8");
    const unsigned char *text = NULL;
    size_t len = 0;
    if (w->status != yajl_gen_status_ok || yajl_gen_get_buf(w->gen, &text, &len))
        return sl_error_oom(err);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    int r = sl_bytes_append(ret, (struct sl_span){text, len}, DOCUMENT_MAX, err);
    return r < 0 ? r : sl_bytes_append(ret, sl_span_of("\n"), DOCUMENT_MAX, err);
}
