/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stage: one step of the way of a layer's bytes. Stages are pushed; each hands its output to
 * the next one. Until finish() has succeeded on every stage, all bytes are hostile.
 */
#pragma once

#include "sluice/core/buf.h"
#include "sluice/core/trace.h"

/* The order of a layer's path; a flow refuses stages that are out of order. */
enum sl_stage_phase {
    SL_PHASE_BLOB,   /* bytes as sent: size and digest of the descriptor */
    SL_PHASE_CIPHER, /* decryption and MAC */
    SL_PHASE_COMPRESSION,
    SL_PHASE_PLAIN, /* the plain tar: diff_id */
    SL_PHASE_TREE,  /* files in the staging tree */
    SL_PHASE_OUT,   /* a blob on its way to another place */
};

enum sl_stage_flags {
    SL_STAGE_EXPANDS = 1 << 0, /* output may exceed input: owns a lane and a limit */
};

struct sl_stage;

struct sl_stage_ops {
    const char *name; /* as printed in errors and statistics: "decrypt" */
    enum sl_stage_phase phase;
    unsigned flags;
    /* Consumes one buffer, which is never empty: passes it on with sl_stage_push(), or releases
     * it, and sets *bufp to NULL. -EAGAIN: no output buffer now; *bufp stays the caller's, its
     * offset may have moved, and it is offered again. Only a stage at the head of a segment may
     * answer -EAGAIN. */
    int (*push)(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err);
    /* May be NULL. Does for two stages that both have this function what push() does longest,
     * faster together than one after the other. It cannot fail, and the bytes are never empty. Each
     * is then pushed this very buffer, unless its flow has failed; what becomes of one does not
     * concern the other. */
    void (*look_ahead)(struct sl_stage *a, struct sl_span a_bytes, struct sl_stage *b,
                       struct sl_span b_bytes);
    /* End of input: checks tags, digests and trailers, pushes what is left. May answer -EAGAIN as
     * push() does, and is then called again. */
    int (*finish)(struct sl_stage *stage, struct sl_error *err);
    /* Frees the stage; accepts a half-built one; never fails. */
    void (*close)(struct sl_stage *stage);
};

struct sl_stage_stats {
    uint64_t bytes_in;
    uint64_t nanoseconds; /* own time, without the stages behind it */
    /* Of the head of a segment: how long the segment had nothing to do, from the last thing it did
     * to the next, for want of input or of buffers for its output. A worker that comes late counts
     * too. 0 of the stages behind it. */
    uint64_t stalled_in_ns, stalled_out_ns;
};

/* Embedded first in the stage's own struct. */
struct sl_stage {
    const struct sl_stage_ops *ops;
    struct sl_stage *next; /* NULL at the end; set by the flow */
    struct sl_stage_stats stats;
    struct sl_trace *trace; /* NULL: nobody looks; set by the flow, as the next */
    uint32_t layer;         /* for the trace */
};

/* Offers a buffer to a stage and accounts for it. Releases an empty buffer without offering it.
 * A NULL stage is the end of the road: the buffer is released. */
SL_MUST_CHECK int sl_stage_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err);
/* Both have the same look_ahead(). Accounts half of the time to each; does nothing where a buffer
 * is empty. */
void sl_stage_look_ahead(struct sl_stage *a, const struct sl_buf *a_buf, struct sl_stage *b,
                         const struct sl_buf *b_buf);
SL_MUST_CHECK int sl_stage_finish(struct sl_stage *stage, struct sl_error *err);
/* Accepts NULL, returns NULL. */
struct sl_stage *sl_stage_close(struct sl_stage *stage);
SL_DEFINE_AUTO(sl_stage, sl_stage_close)
