/* SPDX-License-Identifier: Apache-2.0 */
#include "der_writer.h"

#include <string.h>

enum { MESSAGE_MAX = 1024 * 1024, HEAD_MAX = 4, LONG_FORM = 0x80 };

void sl_der_writer_done(struct sl_der_writer *w)
{
    sl_bytes_done(&w->out);
}

static void append(struct sl_der_writer *w, struct sl_span bytes)
{
    if (w->result == 0)
        w->result = sl_bytes_append(&w->out, bytes, MESSAGE_MAX, NULL);
}

/* Tag and length. MESSAGE_MAX keeps the length within three bytes. */
static struct sl_span head(uint8_t tag, size_t len, uint8_t buf[HEAD_MAX + 1])
{
    size_t n = 0;
    buf[n++] = tag;
    if (len < LONG_FORM) {
        buf[n++] = (uint8_t)len;
        return (struct sl_span){buf, n};
    }
    size_t bytes = len > 0xffff ? 3 : len > 0xff ? 2 : 1;
    buf[n++] = (uint8_t)(LONG_FORM | bytes);
    while (bytes > 0)
        buf[n++] = (uint8_t)(len >> (8 * --bytes));
    return (struct sl_span){buf, n};
}

void sl_der_put(struct sl_der_writer *w, uint8_t tag, struct sl_span body)
{
    uint8_t buf[HEAD_MAX + 1];
    append(w, head(tag, body.len, buf));
    append(w, body);
}

void sl_der_put_encoded(struct sl_der_writer *w, struct sl_span element)
{
    append(w, element);
}

size_t sl_der_open(struct sl_der_writer *w)
{
    return w->out.len;
}

void sl_der_close(struct sl_der_writer *w, uint8_t tag, size_t opened_at)
{
    uint8_t buf[HEAD_MAX + 1];
    size_t len = w->out.len - opened_at;
    struct sl_span h = head(tag, len, buf);
    append(w, h); /* for the room */
    if (w->result < 0)
        return;
    memmove(w->out.data + opened_at + h.len, w->out.data + opened_at, len);
    memcpy(w->out.data + opened_at, h.data, h.len);
}

int sl_der_end(struct sl_der_writer *w, struct sl_bytes *ret, struct sl_error *err)
{
    if (w->result == -E2BIG)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "DER message exceeds %d bytes", MESSAGE_MAX);
    if (w->result < 0)
        return sl_error_oom(err);
    *ret = w->out;
    w->out = (struct sl_bytes){0};
    return 0;
}
