/* SPDX-License-Identifier: Apache-2.0 */
#include "der_reader.h"

enum { LENGTH_BYTES_MAX = 3, LONG_FORM = 0x80, HIGH_TAG = 0x1f };

static int malformed(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "DER: %s", what);
}

/* p points behind the tag. Returns the number of length bytes, or an error. */
static int read_length(struct sl_span p, size_t *ret, struct sl_error *err)
{
    if (p.len == 0)
        return malformed(err, "ends within an element");
    if (p.data[0] < LONG_FORM) {
        *ret = p.data[0];
        return 1;
    }
    size_t n = p.data[0] & ~LONG_FORM;
    if (n == 0)
        return malformed(err, "indefinite length");
    if (n > LENGTH_BYTES_MAX || n >= p.len)
        return malformed(err, "length exceeds the data");
    size_t len = 0;
    for (size_t i = 1; i <= n; i++)
        len = len << 8 | p.data[i];
    if (len < LONG_FORM || len >> (8 * (n - 1)) == 0)
        return malformed(err, "length is not in its shortest form");
    *ret = len;
    return (int)n + 1;
}

int sl_der_next(struct sl_der *der, struct sl_der_item *ret, struct sl_error *err)
{
    struct sl_span rest = der->rest;
    if (rest.len == 0)
        return malformed(err, "an element is missing");
    uint8_t tag = rest.data[0];
    if ((tag & HIGH_TAG) == HIGH_TAG)
        return malformed(err, "high tag number");
    size_t len = 0;
    int n = read_length((struct sl_span){rest.data + 1, rest.len - 1}, &len, err);
    if (n < 0)
        return n;
    size_t head = 1 + (size_t)n;
    if (len > rest.len - head)
        return malformed(err, "length exceeds the data");
    *ret = (struct sl_der_item){tag, {rest.data + head, len}, {rest.data, head + len}};
    der->rest = (struct sl_span){rest.data + head + len, rest.len - head - len};
    return 0;
}

int sl_der_need(struct sl_der *der, uint8_t tag, struct sl_der_item *ret, struct sl_error *err)
{
    struct sl_der ahead = *der;
    struct sl_der_item item;
    int r = sl_der_next(&ahead, &item, err);
    if (r < 0)
        return r;
    if (item.tag != tag)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "DER: tag %02x where %02x was expected",
                            item.tag, tag);
    *der = ahead;
    *ret = item;
    return 0;
}

int sl_der_enter(struct sl_der *der, uint8_t tag, struct sl_der *ret, struct sl_error *err)
{
    struct sl_der_item item;
    int r = sl_der_need(der, tag, &item, err);
    if (r == 0)
        *ret = sl_der_of(item.body);
    return r;
}
