/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ran when, and on which thread, for a person to look at in ui.perfetto.dev or
 * chrome://tracing: a file in the JSON form of Chrome's trace events
 * (https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU).
 *
 * Each thread records into memory of its own; text is made of it at the end. Where a trace may be
 * NULL nobody looks, and that costs one branch.
 */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/clock.h"

#include <stdint.h>

struct sl_trace;

enum sl_trace_kind {
    SL_TRACE_SLICE, /* a thread did this; slices of one thread nest */
    SL_TRACE_SPAN,  /* this went on, on whatever threads */
    SL_TRACE_COUNT, /* from start_ns on there are amount of these */
};

struct sl_trace_event {
    const char *name;          /* a literal, or what outlives the trace */
    uint64_t start_ns, end_ns; /* sl_clock_ns(); of a count the first only */
    uint64_t amount;           /* of a slice: bytes */
    uint32_t layer;            /* from 1; 0: of none */
    enum sl_trace_kind kind;
};

/* The calling thread is the one that pulls. */
SL_MUST_CHECK int sl_trace_new(struct sl_trace **ret, struct sl_error *err);
/* Nobody records any more. Accepts NULL, returns NULL. */
struct sl_trace *sl_trace_free(struct sl_trace *trace);
SL_DEFINE_AUTO(sl_trace, sl_trace_free)

/* Any thread, no lock but for a thread's first event. What is above the limit, or finds no memory,
 * is counted and forgotten. A NULL trace forgets all. */
void sl_trace_add(struct sl_trace *trace, const struct sl_trace_event *event);

/* When a slice begins, and that it ends now. */
static inline uint64_t sl_trace_begin(const struct sl_trace *trace)
{
    return trace ? sl_clock_ns() : 0;
}
void sl_trace_end(struct sl_trace *trace, const char *name, uint32_t layer, uint64_t begin_ns);

/* Whoever records has stopped; what was recorded stays. */
SL_MUST_CHECK int sl_trace_format(const struct sl_trace *trace, struct sl_bytes *ret,
                                  struct sl_error *err);
/* The same, into a file that takes the place of the one that is there. SL_E_SYSTEM where that is no
 * regular file: it may be somebody's device. Errors name the path. */
SL_MUST_CHECK int sl_trace_write(const struct sl_trace *trace, const char *path,
                                 struct sl_error *err);
