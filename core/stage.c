/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/stage.h"

#include "sluice/core/clock.h"

/* Time spent in stages further down on this thread since the current stage was entered: a stage
 * pushes into the next one, and must not be charged for it. */
static _Thread_local uint64_t nested_ns;

struct clock {
    uint64_t start, outer_nested;
};

static struct clock clock_start(void)
{
    struct clock c = {.start = sl_clock_ns(), .outer_nested = nested_ns};
    nested_ns = 0;
    return c;
}

/* bytes: what the stage has taken meanwhile. */
static void clock_charge(struct clock c, struct sl_stage *stage, uint64_t bytes)
{
    uint64_t now = sl_clock_ns(), total = now - c.start;
    stage->stats.bytes_in += bytes;
    stage->stats.nanoseconds += total - nested_ns;
    nested_ns = c.outer_nested + total;
    if (__builtin_expect(stage->trace != NULL, 0))
        sl_trace_add(stage->trace, &(struct sl_trace_event){.name = stage->ops->name,
                                                            .start_ns = c.start,
                                                            .end_ns = now,
                                                            .amount = bytes,
                                                            .layer = stage->layer});
}

/* The innermost stage that failed names itself first. */
static int name_failure(const struct sl_stage *stage, int r, struct sl_error *err)
{
    if (r < 0 && r != -EAGAIN && err && !err->stage)
        err->stage = stage->ops->name;
    return r;
}

int sl_stage_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    if (!stage || (*bufp)->len == 0) {
        sl_buf_release(bufp);
        return 0;
    }
    struct clock c = clock_start();
    size_t offered = (*bufp)->len;
    int r = stage->ops->push(stage, bufp, err);
    clock_charge(c, stage, offered - (*bufp && r == -EAGAIN ? (*bufp)->len : 0));
    return name_failure(stage, r, err);
}

/* The buffer is counted where it is pushed. */
static void trace_ahead(const struct sl_stage *stage, uint64_t start, uint64_t end)
{
    sl_trace_add(stage->trace, &(struct sl_trace_event){.name = stage->ops->name,
                                                        .start_ns = start,
                                                        .end_ns = end,
                                                        .layer = stage->layer});
}

void sl_stage_look_ahead(struct sl_stage *a, const struct sl_buf *a_buf, struct sl_stage *b,
                         const struct sl_buf *b_buf)
{
    if (a_buf->len == 0 || b_buf->len == 0)
        return;
    uint64_t start = sl_clock_ns();
    a->ops->look_ahead(a, sl_buf_span(a_buf), b, sl_buf_span(b_buf));
    uint64_t half = (sl_clock_ns() - start) / 2;
    a->stats.nanoseconds += half;
    b->stats.nanoseconds += half;
    if (a->trace)
        trace_ahead(a, start, start + half);
    if (b->trace)
        trace_ahead(b, start + half, start + 2 * half);
}

int sl_stage_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct clock c = clock_start();
    int r = stage->ops->finish(stage, err);
    clock_charge(c, stage, /* bytes= */ 0);
    return name_failure(stage, r, err);
}

struct sl_stage *sl_stage_close(struct sl_stage *stage)
{
    if (stage)
        stage->ops->close(stage);
    return NULL;
}
