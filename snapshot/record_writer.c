/* SPDX-License-Identifier: Apache-2.0 */
#include "record_writer.h"

#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_gen.h>

enum { RECORD_MAX = 64 * 1024 * 1024 }; /* bytes; above what any record's own limits allow */

struct sl_record_writer {
    yajl_gen gen;
    yajl_gen_status status;
};

static void note(struct sl_record_writer *w, yajl_gen_status status)
{
    if (w->status == yajl_gen_status_ok)
        w->status = status;
}

static void put(struct sl_record_writer *w, const char *text)
{
    note(w, yajl_gen_string(w->gen, (const unsigned char *)text, strlen(text)));
}

static bool put_name(struct sl_record_writer *w, const char *name)
{
    if (w && name)
        put(w, name);
    return w != NULL;
}

struct sl_record_writer *sl_record_writer_new(void)
{
    SL_AUTO(sl_record_writer) w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->gen = yajl_gen_alloc(NULL);
    if (!w->gen)
        return NULL;
    (void)yajl_gen_config(w->gen, yajl_gen_validate_utf8, 1);
    w->status = yajl_gen_status_ok;
    note(w, yajl_gen_map_open(w->gen));
    return sl_steal(&w);
}

struct sl_record_writer *sl_record_writer_free(struct sl_record_writer *w)
{
    if (w && w->gen)
        yajl_gen_free(w->gen);
    free(w);
    return NULL;
}

void sl_record_string(struct sl_record_writer *w, const char *name, const char *value)
{
    if (put_name(w, name))
        put(w, value);
}

void sl_record_digest(struct sl_record_writer *w, const char *name, const struct sl_digest *value)
{
    char text[SL_DIGEST_TEXT_MAX];
    sl_digest_format(value, text);
    sl_record_string(w, name, text);
}

void sl_record_base64(struct sl_record_writer *w, const char *name, struct sl_span value)
{
    SL_AUTO_FREE char *text = sl_base64_encode(value);
    if (text)
        sl_record_string(w, name, text);
    else if (w)
        note(w, yajl_gen_in_error_state);
}

void sl_record_bool(struct sl_record_writer *w, const char *name, bool value)
{
    if (put_name(w, name))
        note(w, yajl_gen_bool(w->gen, value));
}

void sl_record_int(struct sl_record_writer *w, const char *name, int64_t value)
{
    if (put_name(w, name))
        note(w, yajl_gen_integer(w->gen, value));
}

void sl_record_digests(struct sl_record_writer *w, const char *name, const struct sl_digest *values,
                       size_t n)
{
    sl_record_array_open(w, name);
    for (size_t i = 0; i < n; i++)
        sl_record_digest(w, NULL, &values[i]);
    sl_record_array_close(w);
}

void sl_record_array_open(struct sl_record_writer *w, const char *name)
{
    if (put_name(w, name))
        note(w, yajl_gen_array_open(w->gen));
}

void sl_record_array_close(struct sl_record_writer *w)
{
    if (w)
        note(w, yajl_gen_array_close(w->gen));
}

int sl_record_end(struct sl_record_writer *w, struct sl_bytes *ret, struct sl_error *err)
{
    if (!w)
        return sl_error_oom(err);
    note(w, yajl_gen_map_close(w->gen));
    if (w->status == yajl_gen_invalid_string)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "writing a record: a text is not UTF-8");
    const unsigned char *text = NULL;
    size_t len = 0;
    if (w->status != yajl_gen_status_ok || yajl_gen_get_buf(w->gen, &text, &len))
        return sl_error_oom(err);
    int r = sl_bytes_append(ret, (struct sl_span){text, len}, RECORD_MAX, err);
    return r < 0 ? r : sl_bytes_append(ret, sl_span_of("\n"), RECORD_MAX, err);
}
