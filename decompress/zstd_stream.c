/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd (RFC 8878): all frames, skippable ones too (zstd:chunked keeps its table of contents in
 * one), a limit on the window.
 *
 * The header of each frame is collected and handed over in one piece:
 * - libraries are often built with the decoders of formats older than 0.8, which nobody writes any
 *   more and an attacker could reach: the magic is looked at before zstd sees it;
 * - when a header arrives in pieces, libzstd (1.5.4) may take what follows for the frame's start.
 */
#include "decoder.h"
#include "format_probe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    MAGIC_SIZE = SL_FORMAT_PROBE_SIZE,
    HEADER_MAX = MAGIC_SIZE + 1 + 1 + 4 + 8, /* flags, window, dictionary, content size */
    SKIPPABLE_HEADER_SIZE = MAGIC_SIZE + 4,
};

struct zstd_decoder {
    struct sl_decoder decoder;
    ZSTD_DCtx *dctx;
    uint64_t window;            /* the limit, for messages */
    bool is_inside;             /* a frame has begun and not ended */
    uint8_t header[HEADER_MAX]; /* of the next frame */
    size_t n_header;
};

static int bad(const struct zstd_decoder *z, const char *what, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "zstd: %s near offset %" PRIu64 " of the compressed layer", what,
                        z->decoder.consumed);
}

static int fail(const struct zstd_decoder *z, size_t code, struct sl_error *err)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_frameParameter_windowTooLarge:
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "zstd: a frame asks for a window of more than %" PRIu64
                            " bytes; compress the layer without --ultra or --long",
                            z->window);
    case ZSTD_error_memory_allocation:
        return sl_error_oom(err);
    default:
        return bad(z, ZSTD_getErrorName(code), err);
    }
}

/* One call of zstd's. Sets is_inside. */
static int step(struct zstd_decoder *z, ZSTD_inBuffer *in, struct sl_buf *out, struct sl_error *err)
{
    ZSTD_outBuffer to = {out->data + out->off + out->len, sl_buf_room(out), 0};
    size_t before = in->pos;
    size_t r = ZSTD_decompressStream(z->dctx, &to, in);
    z->decoder.consumed += in->pos - before;
    out->len += to.pos;
    if (ZSTD_isError(r))
        return fail(z, r, err);
    z->is_inside = r != 0;
    return 0;
}

/* Bytes of the header that begins with these n; more than n when they do not tell yet. RFC 8878
 * section 3.1.1.1. */
static size_t header_size(const uint8_t *p, size_t n)
{
    static const size_t content_size[] = {0, 2, 4, 8}, dictionary_size[] = {0, 1, 2, 4};
    if (n < MAGIC_SIZE)
        return MAGIC_SIZE;
    if ((p[0] & 0xf0) == 0x50)
        return SKIPPABLE_HEADER_SIZE;
    if (n == MAGIC_SIZE)
        return MAGIC_SIZE + 1;
    uint8_t flags = p[MAGIC_SIZE];
    bool is_single_segment = flags & 0x20; /* no window, and always a content size */
    size_t size = content_size[flags >> 6] + dictionary_size[flags & 3];
    return MAGIC_SIZE + 1 + size + (is_single_segment ? flags < 0x40 : 1);
}

static bool is_magic_good(const struct zstd_decoder *z)
{
    return sl_format_probe((struct sl_span){z->header, z->n_header}) == SL_FORMAT_ZSTD;
}

/* Collects the header of a frame, and hands it to zstd when it is whole. */
static int begin_frame(struct zstd_decoder *z, struct sl_span *in, struct sl_buf *out,
                       struct sl_error *err)
{
    while (in->len && z->n_header < header_size(z->header, z->n_header)) {
        z->header[z->n_header++] = *in->data++;
        in->len--;
        if (z->n_header == MAGIC_SIZE && !is_magic_good(z))
            return bad(z, "neither a frame nor the end", err);
    }
    if (z->n_header < header_size(z->header, z->n_header))
        return 0;
    ZSTD_inBuffer header = {z->header, z->n_header, 0};
    z->n_header = 0;
    return step(z, &header, out, err);
}

static int inside_frame(struct zstd_decoder *z, struct sl_span *in, struct sl_buf *out,
                        struct sl_error *err)
{
    ZSTD_inBuffer from = {in->data, in->len, 0};
    int r = step(z, &from, out, err);
    in->data += from.pos;
    in->len -= from.pos;
    return r;
}

static int zstd_run(struct sl_decoder *d, struct sl_span *in, struct sl_buf *out,
                    struct sl_error *err)
{
    struct zstd_decoder *z = (struct zstd_decoder *)d;
    int r = 0;
    /* One round with empty input fetches what zstd still holds. */
    if (in->len == 0 && z->is_inside)
        return inside_frame(z, in, out, err);
    while (r == 0 && in->len && sl_buf_room(out))
        r = z->is_inside ? inside_frame(z, in, out, err) : begin_frame(z, in, out, err);
    return r;
}

static int zstd_finish(struct sl_decoder *d, struct sl_error *err)
{
    const struct zstd_decoder *z = (const struct zstd_decoder *)d;
    if (z->is_inside || z->n_header >= MAGIC_SIZE)
        return bad(z, "the data ends inside a frame, truncated", err);
    return z->n_header ? bad(z, "neither a frame nor the end", err) : 0;
}

static void zstd_close(struct sl_decoder *d)
{
    struct zstd_decoder *z = (struct zstd_decoder *)d;
    (void)ZSTD_freeDCtx(z->dctx);
    free(z);
}

/* The largest window log that fits into bytes, within what zstd accepts. */
static int window_log(uint64_t bytes)
{
    ZSTD_bounds bounds = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    int log = bounds.lowerBound;
    while (log < bounds.upperBound && UINT64_C(1) << (log + 1) <= bytes)
        log++;
    return log;
}

static int zstd_open(const struct sl_decompress_limits *limits, struct sl_decoder **ret,
                     struct sl_error *err)
{
    struct zstd_decoder *z = calloc(1, sizeof(*z));
    if (!z)
        return sl_error_oom(err);
    z->decoder.ops = &sl_zstd_decoder;
    z->window = limits->window;
    z->dctx = ZSTD_createDCtx();
    if (!z->dctx || ZSTD_isError(ZSTD_DCtx_setParameter(z->dctx, ZSTD_d_windowLogMax,
                                                        window_log(limits->window)))) {
        zstd_close(&z->decoder);
        return sl_error_oom(err);
    }
    *ret = &z->decoder;
    return 0;
}

const struct sl_decoder_ops sl_zstd_decoder = {
    .name = "zstd",
    .open = zstd_open,
    .run = zstd_run,
    .finish = zstd_finish,
    .close = zstd_close,
};
