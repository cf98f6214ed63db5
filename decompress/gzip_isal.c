/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip (RFC 1952) with the inflate of isa-l: all members, checksums, zeros as padding behind the
 * last member (tape blocks), nothing else behind it.
 *
 * isa-l inflates up to 32 KiB of each call into memory of its own and copies them, to have the
 * history at hand; the rest goes straight to the output. With output buffers of SL_BUF_SIZE that
 * is an eighth of the bytes, copied within the caches: less than one call over a whole layer loses
 * by writing to memory that no cache holds. A decoder that writes behind its own history, and
 * needs no such copies, was no faster.
 */
#include "decoder.h"
#include "gzip_header.h"

#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>

enum gzip_state {
    GZIP_HEADER,  /* in front of or inside the header of a member */
    GZIP_BODY,    /* deflated data and the trailer */
    GZIP_BETWEEN, /* behind a member: another one, padding, or the end */
    GZIP_PADDING, /* zeros to the end */
};

struct gzip_decoder {
    struct sl_decoder decoder;
    enum gzip_state state;
    struct sl_gzip_header header;
    struct inflate_state inflate; /* about 80 KiB */
};

static const char *inflate_problem(int r)
{
    switch (r) {
    case ISAL_INVALID_BLOCK:
        return "invalid deflate block";
    case ISAL_INVALID_SYMBOL:
        return "invalid deflate symbol";
    case ISAL_INVALID_LOOKBACK:
        return "distance reaches back before the start of the data";
    case ISAL_INCORRECT_CHECKSUM:
        return "checksum or length of a member is wrong";
    default:
        return "the data does not inflate";
    }
}

static int bad(const struct gzip_decoder *g, const char *what, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "gzip: %s near offset %" PRIu64 " of the compressed layer", what,
                        g->decoder.consumed);
}

static void consume(struct gzip_decoder *g, struct sl_span *in, size_t n)
{
    in->data += n;
    in->len -= n;
    g->decoder.consumed += n;
}

static int run_header(struct gzip_decoder *g, struct sl_span *in, struct sl_error *err)
{
    size_t before = in->len;
    int r = sl_gzip_header_read(&g->header, in, err);
    g->decoder.consumed += before - in->len;
    if (r < 0)
        return sl_error_wrap(err, r, "gzip: offset %" PRIu64, g->decoder.consumed - 1);
    if (g->header.part == SL_GZIP_HEADER_DONE) {
        isal_inflate_reset(&g->inflate);
        g->state = GZIP_BODY;
    }
    return 0;
}

/* After a failure isa-l's counts of bytes are not to be trusted (avail_in may have gone below
 * zero); its position is, within bounds. */
static int bad_body(struct gzip_decoder *g, struct sl_span *in, const char *what,
                    struct sl_error *err)
{
    const uint8_t *at = g->inflate.next_in;
    if (at >= in->data && at <= in->data + in->len)
        consume(g, in, (size_t)(at - in->data));
    return bad(g, what, err);
}

static int run_body(struct gzip_decoder *g, struct sl_span *in, struct sl_buf *out,
                    struct sl_error *err)
{
    struct inflate_state *z = &g->inflate;
    uint32_t room = (uint32_t)sl_buf_room(out);
    z->next_in = (uint8_t *)in->data; /* isa-l only reads it */
    z->avail_in = (uint32_t)in->len;
    z->next_out = out->data + out->off + out->len;
    z->avail_out = room;

    int r = isal_inflate(z);
    if (r < 0)
        return bad_body(g, in, inflate_problem(r), err);
    size_t used = in->len - z->avail_in;
    consume(g, in, used);
    out->len += room - z->avail_out;
    if (z->block_state == ISAL_BLOCK_FINISH)
        g->state = GZIP_BETWEEN;
    else if (in->len && used == 0 && z->avail_out == room)
        return bad(g, "the data makes no progress", err);
    return 0;
}

static void run_between(struct gzip_decoder *g, const struct sl_span *in)
{
    if (*in->data == 0) {
        g->state = GZIP_PADDING;
    } else {
        g->header = (struct sl_gzip_header){0};
        g->state = GZIP_HEADER;
    }
}

static int run_padding(struct gzip_decoder *g, struct sl_span *in, struct sl_error *err)
{
    size_t n = 0;
    while (n < in->len && in->data[n] == 0)
        n++;
    consume(g, in, n);
    return in->len ? bad(g, "bytes that are not zero behind the end", err) : 0;
}

static int gzip_run(struct sl_decoder *d, struct sl_span *in, struct sl_buf *out,
                    struct sl_error *err)
{
    struct gzip_decoder *g = (struct gzip_decoder *)d;
    int r = 0;
    /* One round with empty input fetches what isa-l still holds. */
    if (in->len == 0 && g->state == GZIP_BODY)
        return run_body(g, in, out, err);
    while (r == 0 && in->len && sl_buf_room(out)) {
        switch (g->state) {
        case GZIP_HEADER:
            r = run_header(g, in, err);
            break;
        case GZIP_BODY:
            r = run_body(g, in, out, err);
            break;
        case GZIP_BETWEEN:
            run_between(g, in);
            break;
        case GZIP_PADDING:
            r = run_padding(g, in, err);
            break;
        }
    }
    return r;
}

static int gzip_finish(struct sl_decoder *d, struct sl_error *err)
{
    const struct gzip_decoder *g = (const struct gzip_decoder *)d;
    if (g->state == GZIP_BETWEEN || g->state == GZIP_PADDING)
        return 0;
    return bad(g, "the data ends inside a member, truncated", err);
}

static void gzip_close(struct sl_decoder *d)
{
    struct gzip_decoder *g = (struct gzip_decoder *)d;
    /* It holds the last 32 KiB of a layer that may have been encrypted. */
    sl_wipe(g, sizeof(*g));
    free(g);
}

static int gzip_open(const struct sl_decompress_limits *limits, struct sl_decoder **ret,
                     struct sl_error *err)
{
    (void)limits;
    struct gzip_decoder *g = malloc(sizeof(*g));
    if (!g)
        return sl_error_oom(err);
    g->decoder = (struct sl_decoder){.ops = &sl_gzip_decoder};
    g->state = GZIP_HEADER;
    g->header = (struct sl_gzip_header){0};
    isal_inflate_init(&g->inflate);
    g->inflate.crc_flag = ISAL_GZIP_NO_HDR_VER;
    *ret = &g->decoder;
    return 0;
}

const struct sl_decoder_ops sl_gzip_decoder = {
    .name = "gzip",
    .open = gzip_open,
    .run = gzip_run,
    .finish = gzip_finish,
    .close = gzip_close,
};
