/* SPDX-License-Identifier: Apache-2.0 */
#include "gzip_header.h"

#include <isa-l/crc.h>

enum {
    FIXED_SIZE = 10,
    METHOD_DEFLATE = 8,
    FLAG_HCRC = 1 << 1,
    FLAG_EXTRA = 1 << 2,
    FLAG_NAME = 1 << 3,
    FLAG_COMMENT = 1 << 4,
    FLAGS_RESERVED = 0xe0,
};

static int bad(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s", what);
}

/* Whether the member has this part. Every member has the parts without a flag. */
static bool has_part(const struct sl_gzip_header *h, enum sl_gzip_header_part part)
{
    switch (part) {
    case SL_GZIP_EXTRA_LEN:
        return h->flags & FLAG_EXTRA;
    case SL_GZIP_EXTRA:
        return h->extra_len > 0;
    case SL_GZIP_NAME:
        return h->flags & FLAG_NAME;
    case SL_GZIP_COMMENT:
        return h->flags & FLAG_COMMENT;
    case SL_GZIP_HCRC:
        return h->flags & FLAG_HCRC;
    default:
        return true;
    }
}

static void next_part(struct sl_gzip_header *h)
{
    h->pos = 0;
    do
        h->part++;
    while (!has_part(h, h->part));
}

static int read_fixed(struct sl_gzip_header *h, uint8_t c, struct sl_error *err)
{
    switch (h->pos++) {
    case 0:
        return c == 0x1f ? 0 : bad(err, "not a gzip member");
    case 1:
        return c == 0x8b ? 0 : bad(err, "not a gzip member");
    case 2:
        return c == METHOD_DEFLATE ? 0 : bad(err, "unknown compression method");
    case 3:
        h->flags = c;
        return c & FLAGS_RESERVED ? bad(err, "reserved header flags are set") : 0;
    case FIXED_SIZE - 1:
        next_part(h);
        return 0;
    default:
        return 0;
    }
}

static void read_extra_len(struct sl_gzip_header *h, uint8_t c)
{
    h->extra_len |= (unsigned)c << (8 * h->pos);
    if (++h->pos == 2)
        next_part(h);
}

static int read_hcrc(struct sl_gzip_header *h, uint8_t c, struct sl_error *err)
{
    h->expected_hcrc |= (uint16_t)(c << (8 * h->pos));
    if (++h->pos < 2)
        return 0;
    if (h->expected_hcrc != (h->crc & 0xffff))
        return bad(err, "the checksum of the header is wrong");
    next_part(h);
    return 0;
}

static int read_byte(struct sl_gzip_header *h, uint8_t c, struct sl_error *err)
{
    if (h->part == SL_GZIP_HCRC)
        return read_hcrc(h, c, err);
    h->crc = crc32_gzip_refl(h->crc, &c, 1);
    switch (h->part) {
    case SL_GZIP_FIXED:
        return read_fixed(h, c, err);
    case SL_GZIP_EXTRA_LEN:
        read_extra_len(h, c);
        return 0;
    case SL_GZIP_EXTRA:
        if (++h->pos == h->extra_len)
            next_part(h);
        return 0;
    default: /* a name or a comment */
        if (c == 0)
            next_part(h);
        return 0;
    }
}

int sl_gzip_header_read(struct sl_gzip_header *h, struct sl_span *in, struct sl_error *err)
{
    while (in->len && h->part != SL_GZIP_HEADER_DONE) {
        uint8_t c = *in->data++;
        in->len--;
        int r = read_byte(h, c, err);
        if (r < 0)
            return r;
    }
    return 0;
}
