/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of stages that only count and compare: a source on its own thread feeds numbered bytes,
 * a stage in the middle copies them into another lane, or passes buffers on, and the last stage
 * checks that every byte comes once and in order. Any stage can be told to fail or to stall.
 */
#include "sluice/core/clock.h"
#include "sluice/core/flow.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    STAGES = 4, /* pass, copy, pass, sink */
    COPY = 1,
    SINK = STAGES - 1,
    SOURCE = STAGES, /* as a place to fail */
    IN_BUFFERS = 3,
    OUT_BUFFERS = 2,
    PIECE = 5000,
    N_PIECES = 60,
    NEVER = -1,
    AT_FINISH = 100000,
    SLOW_NS = 2 * 1000 * 1000,
};

static const char *const names[] = {"first", "copy", "third", "sink"};

struct rig;

struct probe {
    struct sl_stage stage;
    struct sl_stage_ops ops;
    struct rig *rig;
    int fail_at; /* this push, AT_FINISH, or NEVER */
    int pushes;
    uint64_t bytes;
    unsigned finished, stalls;
    bool closed;
};

struct rig {
    struct sl_worker_pool *workers;
    struct sl_buf_pool *pool;
    struct sl_buf_lane *in, *out;
    struct sl_flow *flow;
    struct probe probes[STAGES];
    sem_t home, done;  /* a buffer of the source came home, or it shall stop; done() was called */
    sem_t stalled;     /* the copy has no buffer */
    bool sink_is_slow; /* it takes nothing before the copy has stalled */
    atomic_bool stop;
    atomic_uint n_stops, n_done;
    int source_fails_at;
    int cancel_at;
    void (*stop_source)(void *arg); /* NULL: as usual */
    unsigned seed;
    int result;
    struct sl_error error;
};

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 977);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245U + 12345U;
    return *seed >> 16;
}

/* ---- stages ---- */

static int maybe_fail(struct probe *p, bool at_finish, struct sl_error *err)
{
    if (p->fail_at == NEVER || (at_finish ? p->fail_at != AT_FINISH : p->fail_at != p->pushes))
        return 0;
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "told to");
}

static int pass_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct probe *p = (struct probe *)stage;
    int r = maybe_fail(p, /* at_finish= */ false, err);
    if (r < 0) {
        sl_buf_release(bufp);
        return r;
    }
    p->pushes++;
    p->bytes += (*bufp)->len;
    return sl_stage_push(stage->next, bufp, err);
}

/* Copies into its own lane, in pieces of its own size, and stalls when that is empty. */
static int copy_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct probe *p = (struct probe *)stage;
    int r = maybe_fail(p, /* at_finish= */ false, err);
    while (r == 0 && (*bufp)->len) {
        struct sl_buf *out = sl_buf_acquire(p->rig->out);
        if (!out) {
            p->stalls++;
            sem_post(&p->rig->stalled);
            return -EAGAIN;
        }
        size_t n = 1 + (p->bytes * 7919) % 3000;
        n = n < (*bufp)->len ? n : (*bufp)->len;
        memcpy(out->data, sl_buf_span(*bufp).data, n);
        out->len = n;
        sl_buf_consume(*bufp, n);
        p->bytes += n;
        r = sl_stage_push(stage->next, &out, err);
    }
    sl_buf_release(bufp);
    p->pushes++;
    return r;
}

static int sink_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct probe *p = (struct probe *)stage;
    int r = maybe_fail(p, /* at_finish= */ false, err);
    if (p->rig->sink_is_slow && p->pushes == 0)
        sem_wait(&p->rig->stalled);
    struct sl_span span = sl_buf_span(*bufp);
    for (size_t i = 0; r == 0 && i < span.len; i++)
        if (span.data[i] != pattern(p->bytes + i))
            r = sl_error_set(err, SL_E_INTEGRITY, EILSEQ, "byte out of order");
    p->pushes++;
    p->bytes += span.len;
    sl_buf_release(bufp);
    return r;
}

static int probe_finish(struct sl_stage *stage, struct sl_error *err)
{
    struct probe *p = (struct probe *)stage;
    p->finished++;
    return maybe_fail(p, /* at_finish= */ true, err);
}

static void probe_close(struct sl_stage *stage)
{
    ((struct probe *)stage)->closed = true;
}

static int (*const pushes[STAGES])(struct sl_stage *, struct sl_buf **, struct sl_error *) = {
    pass_push, copy_push, pass_push, sink_push};

/* ---- the rig ---- */

static void on_done(void *arg, int r, const struct sl_error *err)
{
    struct rig *rig = arg;
    rig->result = r;
    rig->error = *err;
    atomic_fetch_add(&rig->n_done, 1);
    sem_post(&rig->done);
}

static void on_stop(void *arg)
{
    struct rig *rig = arg;
    if (rig->stop_source) {
        rig->stop_source(rig);
        return;
    }
    atomic_store(&rig->stop, true);
    atomic_fetch_add(&rig->n_stops, 1);
    sem_post(&rig->home);
}

static void on_home(void *arg)
{
    sem_post(&((struct rig *)arg)->home);
}

static struct sl_buf *wait_for_buffer(struct rig *rig)
{
    for (;;) {
        struct sl_buf *buf = sl_buf_acquire(rig->in);
        if (buf || atomic_load(&rig->stop))
            return buf;
        sem_wait(&rig->home);
    }
}

static void feed_piece(struct rig *rig, struct sl_buf *buf, uint64_t *at)
{
    size_t len = 1 + next_random(&rig->seed) % PIECE;
    for (size_t k = 0; k < len; k++)
        buf->data[k] = pattern(*at + k);
    buf->len = len;
    *at += len;
    sl_flow_feed(rig->flow, &buf);
}

static void *source(void *arg)
{
    struct rig *rig = arg;
    uint64_t at = 0;
    struct sl_error err = {0};
    for (int i = 0; i < N_PIECES && !atomic_load(&rig->stop); i++) {
        if (i == rig->source_fails_at) {
            int r = sl_error_set(&err, SL_E_NETWORK, ECONNRESET, "peer went away");
            sl_flow_end(rig->flow, r, &err);
            return NULL;
        }
        if (i == rig->cancel_at) {
            int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "stopped");
            sl_flow_fail(rig->flow, r, &err);
        }
        struct sl_buf *buf = wait_for_buffer(rig);
        if (buf)
            feed_piece(rig, buf, &at);
    }
    sl_flow_end(rig->flow, 0, NULL);
    return NULL;
}

static void rig_open(struct rig *rig, unsigned threads, unsigned cuts)
{
    *rig = (struct rig){.source_fails_at = NEVER, .cancel_at = NEVER, .seed = threads + cuts};
    sem_init(&rig->home, 0, 0);
    sem_init(&rig->done, 0, 0);
    sem_init(&rig->stalled, 0, 0);
    assert_int_equal(sl_worker_pool_new(threads, &rig->workers, NULL), 0);
    size_t memory = (IN_BUFFERS + OUT_BUFFERS) * SL_BUF_SIZE;
    assert_int_equal(sl_buf_pool_new(memory, &rig->pool, NULL), 0);
    assert_int_equal(sl_buf_lane_open(rig->pool, IN_BUFFERS, &rig->in, NULL), 0);
    assert_int_equal(sl_buf_lane_open(rig->pool, OUT_BUFFERS, &rig->out, NULL), 0);
    const struct sl_flow_events events = {.done = on_done, .stop_source = on_stop, .arg = rig};
    assert_int_equal(sl_flow_new(rig->workers, &events, &rig->flow, NULL), 0);
    for (int i = 0; i < STAGES; i++) {
        struct probe *p = &rig->probes[i];
        *p = (struct probe){.rig = rig, .fail_at = NEVER};
        p->ops = (struct sl_stage_ops){.name = names[i],
                                       .phase = (enum sl_stage_phase)i,
                                       .flags = i == COPY ? SL_STAGE_EXPANDS : 0,
                                       .push = pushes[i],
                                       .finish = probe_finish,
                                       .close = probe_close};
        p->stage.ops = &p->ops;
        struct sl_stage *stage = &p->stage;
        /* The stage that stalls heads its segment. */
        bool cut = i == COPY || (cuts >> i & 1);
        assert_int_equal(
            sl_flow_add(rig->flow, &stage, cut ? SL_NEW_SEGMENT : SL_SAME_SEGMENT, NULL), 0);
        assert_null(stage);
    }
    sl_flow_bind_lane(rig->flow, rig->out);
    sl_buf_lane_set_waker(rig->in, on_home, rig);
}

/* Runs the flow to its end. Every buffer must be home afterwards: closing a lane checks that. */
static void rig_run(struct rig *rig)
{
    pthread_t thread;
    sl_flow_start(rig->flow);
    assert_int_equal(pthread_create(&thread, NULL, source, rig), 0);
    sem_wait(&rig->done);
    pthread_join(thread, NULL);
}

static void rig_close(struct rig *rig)
{
    rig->flow = sl_flow_free(rig->flow);
    assert_int_equal(atomic_load(&rig->n_done), 1);
    rig->in = sl_buf_lane_close(rig->in);
    rig->out = sl_buf_lane_close(rig->out);
    assert_int_equal(sl_buf_pool_spare(rig->pool), IN_BUFFERS + OUT_BUFFERS);
    for (int i = 0; i < STAGES; i++)
        assert_true(rig->probes[i].closed);
    rig->workers = sl_worker_pool_free(rig->workers);
    rig->pool = sl_buf_pool_free(rig->pool);
    sem_destroy(&rig->home);
    sem_destroy(&rig->done);
    sem_destroy(&rig->stalled);
}

/* All ways to cut between the last three stages, with one to three workers. */
#define EACH_SHAPE(threads, cuts)                                                                  \
    for (unsigned threads = 1; threads <= 3; threads++)                                            \
        for (unsigned cuts = 0; cuts < 16; cuts += 4)

/* ---- tests ---- */

static void flow_delivers_every_byte_in_order(void **state)
{
    (void)state;
    unsigned stalls = 0;
    EACH_SHAPE(threads, cuts)
    {
        struct rig rig;
        rig_open(&rig, threads, cuts);
        rig_run(&rig);
        assert_int_equal(rig.result, 0);
        assert_int_equal(rig.error.code, SL_OK);
        assert_int_equal(rig.n_stops, 0);
        for (int i = 0; i < STAGES; i++) {
            assert_int_equal(rig.probes[i].bytes, rig.probes[0].bytes);
            assert_int_equal(rig.probes[i].finished, 1);
        }
        assert_int_equal(rig.probes[0].pushes, N_PIECES);
        stalls += rig.probes[COPY].stalls;
        rig_close(&rig);
    }
    assert_true(stalls > 0); /* the lane was short, or this tested nothing */
}

static void flow_statistics_count_every_byte_once(void **state)
{
    (void)state;
    EACH_SHAPE(threads, cuts)
    {
        struct rig rig;
        struct sl_stage_stats stats;
        rig_open(&rig, threads, cuts);
        rig_run(&rig);
        for (int i = 0; i < STAGES; i++) {
            assert_string_equal(sl_flow_stats(rig.flow, (size_t)i, &stats), names[i]);
            assert_int_equal(stats.bytes_in, rig.probes[0].bytes);
        }
        assert_null(sl_flow_stats(rig.flow, STAGES, &stats));
        rig_close(&rig);
    }
}

static struct sl_stage_stats stats_of(struct rig *rig, size_t i)
{
    struct sl_stage_stats stats;
    assert_non_null(sl_flow_stats(rig->flow, i, &stats));
    return stats;
}

/* A source that is slow to begin: nobody has anything to do meanwhile, and all say so. */
static void flow_counts_the_wait_for_a_slow_source(void **state)
{
    (void)state;
    struct rig rig;
    pthread_t thread;
    rig_open(&rig, 3, 1U << SINK);
    uint64_t before = sl_clock_ns();
    sl_flow_start(rig.flow);
    uint64_t started = sl_clock_ns();
    while (sl_clock_ns() - started < SLOW_NS)
        sched_yield();
    uint64_t begins = sl_clock_ns();
    assert_int_equal(pthread_create(&thread, NULL, source, &rig), 0);
    sem_wait(&rig.done);
    pthread_join(thread, NULL);
    uint64_t end = sl_clock_ns();
    static const size_t heads[] = {0, COPY, SINK};
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct sl_stage_stats stats = stats_of(&rig, heads[i]);
        assert_true(stats.stalled_in_ns >= begins - started);
        assert_true(stats.stalled_in_ns + stats.stalled_out_ns <= end - before);
        if (heads[i] != COPY)
            assert_int_equal(stats.stalled_out_ns, 0);
    }
    assert_int_equal(stats_of(&rig, COPY + 1).stalled_in_ns, 0); /* is no head */
    rig_close(&rig);
}

/* A sink that takes nothing until the stage before it has run out of buffers. */
static void flow_counts_the_wait_for_a_slow_sink(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 3, 1U << SINK);
    rig.sink_is_slow = true;
    uint64_t before = sl_clock_ns();
    rig_run(&rig);
    uint64_t elapsed = sl_clock_ns() - before;
    assert_int_equal(rig.result, 0);
    for (size_t i = 0; i < STAGES; i++) {
        struct sl_stage_stats stats = stats_of(&rig, i);
        assert_int_equal(stats.stalled_out_ns > 0, i == COPY);
        assert_true(stats.stalled_in_ns + stats.stalled_out_ns <= elapsed);
    }
    rig_close(&rig);
}

static void flow_failure_of_any_stage_at_any_moment_ends_it(void **state)
{
    (void)state;
    static const int moments[] = {0, 1, 7, 40, AT_FINISH};
    EACH_SHAPE(threads, cuts)
    for (int stage = 0; stage < STAGES; stage++)
        for (size_t m = 0; m < sizeof(moments) / sizeof(moments[0]); m++) {
            struct rig rig;
            rig_open(&rig, threads, cuts);
            rig.probes[stage].fail_at = moments[m];
            rig_run(&rig);
            assert_int_equal(rig.result, -EBADMSG);
            assert_int_equal(rig.error.code, SL_E_INTEGRITY);
            assert_string_equal(rig.error.stage, names[stage]);
            assert_string_equal(rig.error.msg, "told to");
            assert_true(sl_flow_has_failed(rig.flow));
            assert_in_range(rig.n_stops, 0, 1);
            for (int later = stage + 1; later < STAGES; later++)
                assert_int_equal(rig.probes[later].finished, 0);
            rig_close(&rig);
        }
}

static void flow_failure_of_the_source_ends_it(void **state)
{
    (void)state;
    static const int moments[] = {0, 1, 30, N_PIECES - 1};
    EACH_SHAPE(threads, cuts)
    for (size_t m = 0; m < sizeof(moments) / sizeof(moments[0]); m++) {
        struct rig rig;
        rig_open(&rig, threads, cuts);
        rig.source_fails_at = moments[m];
        rig_run(&rig);
        assert_int_equal(rig.result, -ECONNRESET);
        assert_int_equal(rig.error.code, SL_E_NETWORK);
        assert_null(rig.error.stage);
        assert_int_equal(rig.n_stops, 0); /* it has stopped by itself */
        for (int i = 0; i < STAGES; i++)
            assert_int_equal(rig.probes[i].finished, 0);
        rig_close(&rig);
    }
}

static void flow_cancelled_at_any_moment_ends_and_stops_the_source(void **state)
{
    (void)state;
    static const int moments[] = {0, 1, 30, N_PIECES - 1};
    EACH_SHAPE(threads, cuts)
    for (size_t m = 0; m < sizeof(moments) / sizeof(moments[0]); m++) {
        struct rig rig;
        rig_open(&rig, threads, cuts);
        rig.cancel_at = moments[m];
        rig_run(&rig);
        assert_int_equal(rig.result, -ECANCELED);
        assert_int_equal(rig.error.code, SL_E_CANCELLED);
        assert_int_equal(rig.n_stops, 1);
        rig_close(&rig);
    }
}

static void flow_first_failure_wins(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 2, 4);
    rig.cancel_at = 0;
    rig.source_fails_at = 0; /* before the cancellation */
    rig_run(&rig);
    assert_int_equal(rig.result, -ECONNRESET);
    struct sl_error late = {0};
    int r = sl_error_set(&late, SL_E_CANCELLED, ECANCELED, "late");
    sl_flow_fail(rig.flow, r, &late); /* harmless now */
    assert_int_equal(rig.error.code, SL_E_NETWORK);
    rig_close(&rig);
}

static void flow_fail_after_the_end_changes_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 2, 12);
    rig_run(&rig);
    struct sl_error late = {0};
    int r = sl_error_set(&late, SL_E_CANCELLED, ECANCELED, "late");
    sl_flow_fail(rig.flow, r, &late);
    assert_int_equal(rig.result, 0);
    assert_int_equal(rig.n_stops, 0);
    rig_close(&rig);
}

/* A source that ends within stop_source(), and then lets the only worker do all that was woken. */
struct hasty {
    struct rig rig;
    struct sl_task last;
    sem_t through;
    unsigned n_done; /* before sl_flow_fail() was through with the flow */
};

static void on_last(struct sl_task *task)
{
    sem_post(&((struct hasty *)((char *)task - offsetof(struct hasty, last)))->through);
}

static void on_hasty_stop(void *arg)
{
    struct hasty *hasty = (struct hasty *)arg;
    sl_flow_end(hasty->rig.flow, 0, NULL);
    sl_task_wake(&hasty->last);
    sem_wait(&hasty->through);
    hasty->n_done = atomic_load(&hasty->rig.n_done);
}

static void flow_is_not_through_while_it_is_told_to_fail(void **state)
{
    (void)state;
    struct hasty hasty = {.n_done = 99};
    struct rig *rig = &hasty.rig;
    rig_open(rig, 1, 12);
    rig->stop_source = on_hasty_stop;
    sem_init(&hasty.through, 0, 0);
    sl_task_init(&hasty.last, rig->workers, on_last);
    sl_flow_start(rig->flow);
    struct sl_error err = {0};
    int r = sl_error_set(&err, SL_E_CANCELLED, ECANCELED, "stopped");
    sl_flow_fail(rig->flow, r, &err);
    assert_int_equal(hasty.n_done, 0);
    sem_wait(&rig->done);
    assert_int_equal(rig->result, -ECANCELED);
    sl_task_wait_idle(&hasty.last);
    sem_destroy(&hasty.through);
    rig_close(rig);
}

static void flow_without_input_finishes_every_stage(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 2, 12);
    sl_flow_start(rig.flow);
    sl_flow_end(rig.flow, 0, NULL);
    sem_wait(&rig.done);
    assert_int_equal(rig.result, 0);
    for (int i = 0; i < STAGES; i++) {
        assert_int_equal(rig.probes[i].finished, 1);
        assert_int_equal(rig.probes[i].pushes, 0);
    }
    rig_close(&rig);
}

static void flow_that_never_started_can_be_freed(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, 1, 12);
    atomic_store(&rig.n_done, 1);
    rig_close(&rig);
    assert_null(sl_flow_free(NULL));
}

static void flow_refuses_stages_out_of_order(void **state)
{
    (void)state;
    struct rig rig;
    struct sl_error err = {0};
    rig_open(&rig, 1, 0);
    struct probe extra = {.rig = &rig};
    extra.ops = rig.probes[0].ops;
    extra.stage.ops = &extra.ops;
    struct sl_stage *stage = &extra.stage;
    assert_int_equal(sl_flow_add(rig.flow, &stage, SL_NEW_SEGMENT, &err), -EINVAL);
    assert_null(stage);
    assert_true(extra.closed);
    atomic_store(&rig.n_done, 1);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flow_delivers_every_byte_in_order),
        cmocka_unit_test(flow_statistics_count_every_byte_once),
        cmocka_unit_test(flow_counts_the_wait_for_a_slow_source),
        cmocka_unit_test(flow_counts_the_wait_for_a_slow_sink),
        cmocka_unit_test(flow_failure_of_any_stage_at_any_moment_ends_it),
        cmocka_unit_test(flow_failure_of_the_source_ends_it),
        cmocka_unit_test(flow_cancelled_at_any_moment_ends_and_stops_the_source),
        cmocka_unit_test(flow_first_failure_wins),
        cmocka_unit_test(flow_fail_after_the_end_changes_nothing),
        cmocka_unit_test(flow_is_not_through_while_it_is_told_to_fail),
        cmocka_unit_test(flow_without_input_finishes_every_stage),
        cmocka_unit_test(flow_that_never_started_can_be_freed),
        cmocka_unit_test(flow_refuses_stages_out_of_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
