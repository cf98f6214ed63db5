/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/flow.h"

#include "sluice/core/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    STAGES_MAX = 8,
    /* Buffers a segment handles before it lets others have the worker. */
    BUFFERS_PER_TURN = 16,
};

/* A run of stages that share a worker. The queue is filled by whoever is before it: the source
 * or the segment in front; everything else is touched by its own task only. */
struct segment {
    struct sl_task task;
    struct sl_flow *flow;
    struct sl_stage *stages[STAGES_MAX];
    size_t n_stages, n_finished;
    struct sl_buf *offered; /* answered with -EAGAIN, to be offered again */
    bool through;           /* finished, or stopped after a failure */
    uint64_t *stalled;      /* the head's sum that this pause goes to; NULL: it runs */
    uint64_t stalled_at;    /* sl_clock_ns() */

    pthread_mutex_t lock; /* guards the queue */
    struct sl_buf *head, *tail;
    bool ended;  /* nothing more will come */
    bool closed; /* nothing more will be taken */
};

/* Closes a segment: hands buffers to the next one. */
struct hand_over {
    struct sl_stage stage;
    struct segment *to;
};

struct sl_flow {
    struct sl_worker_pool *workers;
    struct sl_flow_events events;
    struct segment segments[STAGES_MAX];
    struct hand_over hand_overs[STAGES_MAX];
    size_t n_segments;
    struct sl_stage *stages[STAGES_MAX]; /* all, in order: for statistics */
    size_t n_stages;
    struct sl_trace *trace;
    uint32_t layer; /* for the trace */

    atomic_bool failed;
    atomic_bool source_active;
    atomic_uint active;   /* segments and the source that are not through */
    pthread_mutex_t lock; /* guards the result */
    int result;
    struct sl_error error;
};

/* ---- queue ---- */

static void queue_put(struct segment *seg, struct sl_buf **bufp)
{
    struct sl_buf *buf = sl_steal(bufp);
    buf->next = NULL;
    pthread_mutex_lock(&seg->lock);
    bool closed = seg->closed;
    if (!closed && seg->tail)
        seg->tail->next = buf;
    else if (!closed)
        seg->head = buf;
    if (!closed)
        seg->tail = buf;
    pthread_mutex_unlock(&seg->lock);
    if (closed)
        sl_buf_release(&buf);
}

/* The next buffer, or NULL; *ret_ended tells whether more can come. */
static struct sl_buf *queue_take(struct segment *seg, bool *ret_ended)
{
    pthread_mutex_lock(&seg->lock);
    struct sl_buf *buf = seg->head;
    if (buf) {
        seg->head = buf->next;
        if (!seg->head)
            seg->tail = NULL;
    }
    *ret_ended = seg->ended;
    pthread_mutex_unlock(&seg->lock);
    return buf;
}

static void queue_close(struct segment *seg)
{
    bool ended;
    pthread_mutex_lock(&seg->lock);
    seg->closed = true;
    pthread_mutex_unlock(&seg->lock);
    for (struct sl_buf *buf; (buf = queue_take(seg, &ended));)
        sl_buf_release(&buf);
}

static void queue_end(struct segment *seg)
{
    pthread_mutex_lock(&seg->lock);
    seg->ended = true;
    pthread_mutex_unlock(&seg->lock);
}

static int hand_over_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    (void)err;
    struct hand_over *h = (struct hand_over *)stage;
    queue_put(h->to, bufp);
    sl_task_wake(&h->to->task);
    return 0;
}

static int hand_over_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)err;
    struct hand_over *h = (struct hand_over *)stage;
    queue_end(h->to);
    sl_task_wake(&h->to->task);
    return 0;
}

static void hand_over_close(struct sl_stage *stage)
{
    (void)stage; /* embedded in the flow */
}

static const struct sl_stage_ops hand_over_ops = {
    .name = "hand-over",
    .push = hand_over_push,
    .finish = hand_over_finish,
    .close = hand_over_close,
};

/* ---- running ---- */

static void participant_through(struct sl_flow *flow)
{
    if (atomic_fetch_sub(&flow->active, 1) != 1)
        return;
    pthread_mutex_lock(&flow->lock);
    int r = flow->result;
    struct sl_error err = flow->error;
    pthread_mutex_unlock(&flow->lock);
    flow->events.done(flow->events.arg, r, &err);
}

/* False when everybody is through: the flow may be about to be freed. */
static bool participant_joins(struct sl_flow *flow)
{
    unsigned n = atomic_load(&flow->active);
    while (n && !atomic_compare_exchange_weak(&flow->active, &n, n + 1))
        ;
    return n;
}

static void segment_stop(struct segment *seg)
{
    sl_buf_release(&seg->offered);
    queue_close(seg);
    if (!seg->through) {
        seg->through = true;
        participant_through(seg->flow);
    }
}

static int segment_finish(struct segment *seg, struct sl_error *err)
{
    for (; seg->n_finished < seg->n_stages; seg->n_finished++) {
        int r = sl_stage_finish(seg->stages[seg->n_finished], err);
        if (r < 0)
            return r;
    }
    seg->through = true;
    participant_through(seg->flow);
    return 0;
}

/* Whether there is a buffer to be pushed next. */
static bool segment_has_buffer(struct segment *seg, bool *ret_ended)
{
    *ret_ended = false;
    if (!seg->offered)
        seg->offered = queue_take(seg, ret_ended);
    return seg->offered;
}

/* One buffer's worth of work: 1 when there may be more to do, 0 when there is nothing now. */
static int segment_step(struct segment *seg, struct sl_error *err)
{
    bool ended;
    if (!segment_has_buffer(seg, &ended))
        return ended ? segment_finish(seg, err) : 0;
    int r = sl_stage_push(seg->stages[0], &seg->offered, err);
    return r < 0 ? r : 1;
}

static void pause_begins(struct segment *seg, uint64_t *sum)
{
    seg->stalled = sum;
    seg->stalled_at = sl_clock_ns();
}

static void pause_ends(struct segment *seg)
{
    if (seg->stalled)
        *seg->stalled += sl_clock_ns() - seg->stalled_at;
    seg->stalled = NULL;
}

/* A step with all that may come of it; whether there may be more to do. */
static bool segment_goes_on(struct segment *seg)
{
    struct sl_stage_stats *stats = &seg->stages[0]->stats;
    if (seg->through || atomic_load(&seg->flow->failed)) {
        segment_stop(seg);
        return false;
    }
    struct sl_error err = {0};
    int r = segment_step(seg, &err);
    if (r == -EAGAIN || r == 0) {
        /* Woken by the lane, or by whoever feeds us. */
        if (!seg->through)
            pause_begins(seg, r == 0 ? &stats->stalled_in_ns : &stats->stalled_out_ns);
        return false;
    }
    if (r < 0)
        sl_flow_fail(seg->flow, r, &err);
    return true;
}

/* Of two segments whose heads are faster together, the one the worker took as well. Nobody waits
 * for a partner: it goes as soon as it has nothing to do, and so does who took it. */
static struct segment *partner_take(struct segment *seg)
{
    struct segment *partner = (struct segment *)sl_task_take_partner(&seg->task);
    if (partner)
        pause_ends(partner);
    return partner;
}

static struct segment *partner_give_back(struct segment *partner)
{
    if (partner)
        sl_task_give_back(&partner->task);
    return NULL;
}

static void look_ahead(struct segment *seg, struct segment *partner)
{
    bool ended;
    if (segment_has_buffer(seg, &ended) && segment_has_buffer(partner, &ended))
        sl_stage_look_ahead(seg->stages[0], seg->offered, partner->stages[0], partner->offered);
}

static void segment_run(struct sl_task *task)
{
    struct segment *seg = (struct segment *)task;
    pause_ends(seg);
    struct segment *partner = partner_take(seg);
    bool goes_on = true;
    for (int i = 0; goes_on && i < BUFFERS_PER_TURN; i++) {
        if (partner)
            look_ahead(seg, partner);
        goes_on = segment_goes_on(seg);
        if (partner && !segment_goes_on(partner))
            partner = partner_give_back(partner);
    }
    if (goes_on)
        sl_task_wake(task);
    if (partner)
        sl_task_wake(&partner->task);
    (void)partner_give_back(partner);
}

/* ---- the flow ---- */

int sl_flow_new(struct sl_worker_pool *workers, const struct sl_flow_events *events,
                struct sl_flow **ret, struct sl_error *err)
{
    struct sl_flow *flow = calloc(1, sizeof(*flow));
    if (!flow)
        return sl_error_oom(err);
    flow->workers = workers;
    flow->events = *events;
    pthread_mutex_init(&flow->lock, NULL);
    *ret = flow;
    return 0;
}

struct sl_flow *sl_flow_free(struct sl_flow *flow)
{
    if (!flow)
        return NULL;
    for (size_t i = 0; i < flow->n_segments; i++) {
        struct segment *seg = &flow->segments[i];
        sl_task_wait_idle(&seg->task);
        pthread_mutex_destroy(&seg->lock);
    }
    for (size_t i = 0; i < flow->n_stages; i++)
        (void)sl_stage_close(flow->stages[i]);
    pthread_mutex_destroy(&flow->lock);
    free(flow);
    return NULL;
}

static struct segment *new_segment(struct sl_flow *flow)
{
    struct segment *seg = &flow->segments[flow->n_segments];
    seg->flow = flow;
    sl_task_init(&seg->task, flow->workers, segment_run);
    pthread_mutex_init(&seg->lock, NULL);
    if (flow->n_segments > 0) {
        struct segment *before = seg - 1;
        struct hand_over *h = &flow->hand_overs[flow->n_segments - 1];
        *h = (struct hand_over){.stage.ops = &hand_over_ops, .to = seg};
        before->stages[before->n_stages - 1]->next = &h->stage;
        before->stages[before->n_stages++] = &h->stage;
    }
    flow->n_segments++;
    return seg;
}

int sl_flow_add(struct sl_flow *flow, struct sl_stage **stagep, enum sl_flow_cut cut,
                struct sl_error *err)
{
    SL_AUTO(sl_stage) stage = sl_steal(stagep);
    struct sl_stage *last = flow->n_stages ? flow->stages[flow->n_stages - 1] : NULL;
    if (last && last->ops->phase > stage->ops->phase)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "stage %s must come before %s",
                            stage->ops->name, last->ops->name);
    /* One place is kept for the hand-over. */
    if (flow->n_stages == STAGES_MAX - 1)
        return sl_error_set(err, SL_E_SYSTEM, EINVAL, "too many stages");
    struct segment *seg;
    if (cut == SL_NEW_SEGMENT || flow->n_segments == 0) {
        seg = new_segment(flow);
    } else {
        seg = &flow->segments[flow->n_segments - 1];
        seg->stages[seg->n_stages - 1]->next = stage;
    }
    seg->stages[seg->n_stages++] = stage;
    flow->stages[flow->n_stages++] = sl_steal(&stage);
    return 0;
}

static void wake_segment(void *arg)
{
    struct segment *seg = arg;
    sl_task_wake(&seg->task);
}

void sl_flow_bind_lane(struct sl_flow *flow, struct sl_buf_lane *lane)
{
    for (size_t i = 0; i < flow->n_segments; i++)
        if (flow->segments[i].stages[0]->ops->flags & SL_STAGE_EXPANDS)
            sl_buf_lane_set_waker(lane, wake_segment, &flow->segments[i]);
}

void sl_flow_set_trace(struct sl_flow *flow, struct sl_trace *trace, uint32_t layer)
{
    flow->trace = trace;
    flow->layer = layer;
    for (size_t i = 0; i < flow->n_segments; i++)
        for (size_t k = 0; k < flow->segments[i].n_stages; k++) {
            flow->segments[i].stages[k]->trace = trace;
            flow->segments[i].stages[k]->layer = layer;
        }
}

void sl_flow_start(struct sl_flow *flow)
{
    for (size_t i = 0; i < flow->n_segments; i++) {
        struct segment *seg = &flow->segments[i];
        pause_begins(seg, &seg->stages[0]->stats.stalled_in_ns);
        seg->task.kind = (void (*)(void))seg->stages[0]->ops->look_ahead;
    }
    atomic_store(&flow->source_active, true);
    atomic_store(&flow->active, (unsigned)flow->n_segments + 1);
}

void sl_flow_feed(struct sl_flow *flow, struct sl_buf **bufp)
{
    struct sl_trace_event arrival = {.name = "fetch",
                                     .start_ns = sl_trace_begin(flow->trace),
                                     .amount = (*bufp)->len,
                                     .layer = flow->layer};
    queue_put(&flow->segments[0], bufp);
    sl_task_wake(&flow->segments[0].task);
    if (__builtin_expect(flow->trace != NULL, 0)) {
        arrival.end_ns = sl_clock_ns();
        sl_trace_add(flow->trace, &arrival);
    }
}

void sl_flow_end(struct sl_flow *flow, int r, const struct sl_error *err)
{
    if (r < 0) {
        atomic_store(&flow->source_active, false);
        sl_flow_fail(flow, r, err);
    } else {
        atomic_store(&flow->source_active, false);
        queue_end(&flow->segments[0]);
        sl_task_wake(&flow->segments[0].task);
    }
    participant_through(flow);
}

/* The first failure wins; whether this is it. */
static bool set_failed(struct sl_flow *flow, int r, const struct sl_error *err)
{
    pthread_mutex_lock(&flow->lock);
    bool first = flow->result == 0;
    if (first) {
        flow->result = r;
        if (err)
            flow->error = *err;
        atomic_store(&flow->failed, true);
    }
    pthread_mutex_unlock(&flow->lock);
    return first;
}

void sl_flow_fail(struct sl_flow *flow, int r, const struct sl_error *err)
{
    /* What has failed may end while the others are still being told: not before they all know. */
    bool is_running = participant_joins(flow);
    if (set_failed(flow, r, err) && is_running) {
        for (size_t i = 0; i < flow->n_segments; i++)
            sl_task_wake(&flow->segments[i].task);
        if (atomic_load(&flow->source_active) && flow->events.stop_source)
            flow->events.stop_source(flow->events.arg);
    }
    if (is_running)
        participant_through(flow);
}

bool sl_flow_has_failed(struct sl_flow *flow)
{
    return atomic_load(&flow->failed);
}

const char *sl_flow_stats(struct sl_flow *flow, size_t i, struct sl_stage_stats *ret)
{
    if (i >= flow->n_stages)
        return NULL;
    *ret = flow->stages[i]->stats;
    return flow->stages[i]->ops->name;
}
