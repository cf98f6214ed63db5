/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flow: the stages of one layer, cut into segments that run on different workers at once.
 *
 *   source ──► [ segment: stage, stage ] ──► [ segment: stage ] ──► [ segment: stage ]
 *
 * Segments are joined by queues; the lanes their buffers come from bound the queues. The first
 * failure wins and stops the whole flow; when every segment and the source have let go, the
 * flow reports once.
 */
#pragma once

#include "sluice/core/stage.h"
#include "sluice/core/worker_pool.h"

struct sl_flow;

struct sl_flow_events {
    /* Every segment and the source are through: r is 0 or the first failure, err explains it.
     * Called once, on any thread; the flow may be freed from here on, not from within. */
    void (*done)(void *arg, int r, const struct sl_error *err);
    /* The flow has failed while the source was still active: it must stop and call
     * sl_flow_end(). Any thread, must not block. May be NULL. */
    void (*stop_source)(void *arg);
    void *arg;
};

SL_MUST_CHECK int sl_flow_new(struct sl_worker_pool *workers, const struct sl_flow_events *events,
                              struct sl_flow **ret, struct sl_error *err);
/* Must not run any more (done() was called), or never have been started. Closes the stages. */
struct sl_flow *sl_flow_free(struct sl_flow *flow);
SL_DEFINE_AUTO(sl_flow, sl_flow_free)

enum sl_flow_cut {
    SL_SAME_SEGMENT, /* runs right behind the stage before it */
    SL_NEW_SEGMENT,  /* begins a segment of its own */
};
/* Appends a stage and takes it (*stagep becomes NULL), also on failure. Before the start only.
 * -EINVAL when it is out of phase order. */
SL_MUST_CHECK int sl_flow_add(struct sl_flow *flow, struct sl_stage **stagep, enum sl_flow_cut cut,
                              struct sl_error *err);
/* Lets a segment wait for its output lane: the segment whose head draws from the lane. */
void sl_flow_bind_lane(struct sl_flow *flow, struct sl_buf_lane *lane);

/* Every stage and whatever is fed is recorded, as of this layer (from 1). Behind the last
 * sl_flow_add(), before the start. The trace is borrowed; NULL: nothing is. */
void sl_flow_set_trace(struct sl_flow *flow, struct sl_trace *trace, uint32_t layer);

void sl_flow_start(struct sl_flow *flow);

/* For the source, one thread at a time. Takes the buffer; never blocks. After a failure buffers
 * are dropped. */
void sl_flow_feed(struct sl_flow *flow, struct sl_buf **bufp);
/* The source is through, with r 0 at the end of the blob, or its failure. Exactly once. */
void sl_flow_end(struct sl_flow *flow, int r, const struct sl_error *err);
/* Stops the flow from outside: cancellation. Any thread, behind the start. Harmless when it is
 * through and not yet freed. A caller that is the last to let go calls done(): it must hold no lock
 * that done() takes. */
void sl_flow_fail(struct sl_flow *flow, int r, const struct sl_error *err);
/* True once the flow has failed; a source may look between chunks. */
bool sl_flow_has_failed(struct sl_flow *flow);

/* Statistics of stage i, in order; NULL behind the last. Exact after done(), racy before. */
const char *sl_flow_stats(struct sl_flow *flow, size_t i, struct sl_stage_stats *ret);
