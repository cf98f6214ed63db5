/* SPDX-License-Identifier: Apache-2.0 */
#include "decoder.h"
#include "expansion_limit.h"
#include "format_probe.h"

#include <stdlib.h>
#include <string.h>

/* NULL: the bytes are passed on as they are. */
static const struct sl_decoder_ops *const decoders[] = {
    [SL_FORMAT_PLAIN] = NULL,
    [SL_FORMAT_GZIP] = &sl_gzip_decoder,
    [SL_FORMAT_ZSTD] = &sl_zstd_decoder,
};

struct decompress {
    struct sl_stage stage;
    struct sl_buf_lane *lane;
    struct sl_expansion expansion;
    bool is_probed;
    struct sl_decoder *decoder; /* NULL: plain, or not probed yet */
    struct sl_buf *first;       /* a first buffer too short for the probe */
    struct sl_buf *out;         /* being filled; pushed on when full */
    bool may_hold_output;       /* the decoder stopped for want of room */
};

static int pass_plain(struct decompress *s, struct sl_buf **bufp, struct sl_error *err)
{
    int r = sl_expansion_add(&s->expansion, (*bufp)->len, (*bufp)->len, err);
    return r < 0 ? r : sl_stage_push(s->stage.next, bufp, err);
}

/* One run of the decoder into an output buffer with room. */
static int decode(struct decompress *s, struct sl_span *in, struct sl_error *err)
{
    if (!s->out)
        s->out = sl_buf_acquire(s->lane);
    if (!s->out)
        return -EAGAIN;
    size_t in_before = in->len, out_before = s->out->len;
    int r = s->decoder->ops->run(s->decoder, in, s->out, err);
    if (r == 0)
        r = sl_expansion_add(&s->expansion, in_before - in->len, s->out->len - out_before, err);
    if (r < 0)
        return r;
    s->may_hold_output = sl_buf_room(s->out) == 0;
    return s->may_hold_output ? sl_stage_push(s->stage.next, &s->out, err) : 0;
}

/* Decodes all of *bufp and releases it. With -EAGAIN the rest of it stays the caller's. */
static int decode_buf(struct decompress *s, struct sl_buf **bufp, struct sl_error *err)
{
    int r = 0;
    while (r == 0 && (*bufp)->len) {
        struct sl_span in = sl_buf_span(*bufp);
        r = decode(s, &in, err);
        sl_buf_consume(*bufp, (*bufp)->len - in.len);
    }
    if (r == 0)
        sl_buf_release(bufp);
    return r;
}

static int handle(struct decompress *s, struct sl_buf **bufp, struct sl_error *err)
{
    return s->decoder ? decode_buf(s, bufp, err) : pass_plain(s, bufp, err);
}

static int choose_decoder(struct decompress *s, struct sl_span head, struct sl_error *err)
{
    const struct sl_decoder_ops *ops = decoders[sl_format_probe(head)];
    int r = ops ? ops->open(&s->expansion.limits, &s->decoder, err) : 0;
    s->is_probed = r == 0;
    return r;
}

/* Moves bytes of *bufp behind those of the first buffer until there are enough to probe. */
static void top_up_first(struct sl_buf *first, struct sl_buf *buf)
{
    if (first->off + SL_FORMAT_PROBE_SIZE > first->cap) {
        memmove(first->data, first->data + first->off, first->len);
        first->off = 0;
    }
    while (buf->len && first->len < SL_FORMAT_PROBE_SIZE) {
        first->data[first->off + first->len++] = buf->data[buf->off];
        sl_buf_consume(buf, 1);
    }
}

/* Keeps *bufp, or takes bytes from it, until the format is known. */
static int probe(struct decompress *s, struct sl_buf **bufp, struct sl_error *err)
{
    if (!s->first && (*bufp)->len >= SL_FORMAT_PROBE_SIZE)
        return choose_decoder(s, sl_buf_span(*bufp), err);
    if (!s->first) {
        s->first = sl_steal(bufp);
        return 0;
    }
    top_up_first(s->first, *bufp);
    if (s->first->len == SL_FORMAT_PROBE_SIZE)
        return choose_decoder(s, sl_buf_span(s->first), err);
    sl_buf_release(bufp);
    return 0;
}

static int decompress_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct decompress *s = (struct decompress *)stage;
    int r = 0;
    if (!s->is_probed)
        r = probe(s, bufp, err);
    if (r == 0 && s->is_probed && s->first)
        r = handle(s, &s->first, err);
    if (r < 0 || !*bufp)
        return r;
    return sl_buf_span(*bufp).len ? handle(s, bufp, err) : (sl_buf_release(bufp), 0);
}

static int decompress_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct decompress *s = (struct decompress *)stage;
    int r = 0;
    s->is_probed = true; /* too short for any format but plain */
    if (s->first)
        r = handle(s, &s->first, err);
    if (!s->decoder)
        return r;
    /* Neither library holds output at the end of a good stream, since both leave the trailer
     * alone until all is written; but neither promises it. */
    struct sl_span none = {(const uint8_t *)"", 0};
    while (r == 0 && s->may_hold_output)
        r = decode(s, &none, err);
    if (r == 0)
        r = s->decoder->ops->finish(s->decoder, err);
    return r == 0 && s->out ? sl_stage_push(s->stage.next, &s->out, err) : r;
}

static void decompress_close(struct sl_stage *stage)
{
    struct decompress *s = (struct decompress *)stage;
    if (s->decoder)
        s->decoder->ops->close(s->decoder);
    sl_buf_release(&s->first);
    sl_buf_release(&s->out);
    free(s);
}

static const struct sl_stage_ops decompress_ops = {
    .name = "decompress",
    .phase = SL_PHASE_COMPRESSION,
    .flags = SL_STAGE_EXPANDS,
    .push = decompress_push,
    .finish = decompress_finish,
    .close = decompress_close,
};

int sl_stage_decompress_new(struct sl_buf_lane *out, const struct sl_decompress_limits *limits,
                            struct sl_stage **ret, struct sl_error *err)
{
    struct decompress *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->stage.ops = &decompress_ops;
    s->lane = out;
    sl_expansion_init(&s->expansion, limits);
    *ret = &s->stage;
    return 0;
}
