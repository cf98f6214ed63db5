/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two flows whose heads are faster together. The only worker is held until both have all their
 * buffers, so that it finds them queued; what it then does follows from the order of the queue.
 */
#include "sluice/core/flow.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    BUFFERS = 20, /* more than one turn */
    NEVER = -1,
};

struct head {
    struct sl_stage stage;
    int fail_at; /* this push, or NEVER */
    int pushes, aheads, strangers;
    const uint8_t *ahead; /* must be pushed next */
    bool finished;
};

static void head_look_ahead(struct sl_stage *a, struct sl_span a_bytes, struct sl_stage *b,
                            struct sl_span b_bytes)
{
    struct head *x = (struct head *)a;
    struct head *y = (struct head *)b;
    assert_ptr_not_equal(x, y);
    assert_true(a_bytes.len && b_bytes.len);
    x->strangers += x->ahead != NULL;
    y->strangers += y->ahead != NULL;
    x->ahead = a_bytes.data;
    y->ahead = b_bytes.data;
    x->aheads++;
    y->aheads++;
}

static int head_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct head *h = (struct head *)stage;
    h->strangers += h->ahead && h->ahead != sl_buf_span(*bufp).data;
    h->ahead = NULL;
    sl_buf_release(bufp);
    if (h->pushes++ == h->fail_at)
        return sl_error_set(err, SL_E_INTEGRITY, EBADMSG, "told to");
    return 0;
}

static int head_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)err;
    ((struct head *)stage)->finished = true;
    return 0;
}

static void head_close(struct sl_stage *stage)
{
    (void)stage; /* embedded */
}

static const struct sl_stage_ops head_ops = {
    .name = "head",
    .phase = SL_PHASE_PLAIN,
    .push = head_push,
    .look_ahead = head_look_ahead,
    .finish = head_finish,
    .close = head_close,
};

struct half {
    struct head head;
    struct sl_buf_lane *lane;
    struct sl_flow *flow;
    sem_t done;
    int result;
};

struct twins {
    struct sl_worker_pool *workers;
    struct sl_buf_pool *pool;
    struct sl_task gate; /* holds the only worker */
    sem_t entered, go;
    struct half half[2];
};

static void gate_run(struct sl_task *task)
{
    struct twins *t = (struct twins *)((char *)task - offsetof(struct twins, gate));
    sem_post(&t->entered);
    sem_wait(&t->go);
}

static void on_done(void *arg, int r, const struct sl_error *err)
{
    (void)err;
    struct half *half = arg;
    half->result = r;
    sem_post(&half->done);
}

static void half_open(struct twins *t, struct half *half)
{
    half->head = (struct head){.stage.ops = &head_ops, .fail_at = NEVER};
    sem_init(&half->done, 0, 0);
    assert_int_equal(sl_buf_lane_open(t->pool, BUFFERS, &half->lane, NULL), 0);
    const struct sl_flow_events events = {.done = on_done, .arg = half};
    assert_int_equal(sl_flow_new(t->workers, &events, &half->flow, NULL), 0);
    struct sl_stage *stage = &half->head.stage;
    assert_int_equal(sl_flow_add(half->flow, &stage, SL_NEW_SEGMENT, NULL), 0);
    sl_flow_start(half->flow);
}

static void twins_open(struct twins *t)
{
    assert_int_equal(sl_worker_pool_new(1, &t->workers, NULL), 0);
    assert_int_equal(sl_buf_pool_new((size_t)2 * BUFFERS * SL_BUF_SIZE, &t->pool, NULL), 0);
    sem_init(&t->entered, 0, 0);
    sem_init(&t->go, 0, 0);
    sl_task_init(&t->gate, t->workers, gate_run);
    half_open(t, &t->half[0]);
    half_open(t, &t->half[1]);
    sl_task_wake(&t->gate);
    sem_wait(&t->entered);
}

/* empty_at: the buffer without bytes, or NEVER. */
static void feed(struct half *half, int n_buffers, int empty_at)
{
    for (int i = 0; i < n_buffers; i++) {
        struct sl_buf *buf = sl_buf_acquire(half->lane);
        assert_non_null(buf);
        buf->len = i == empty_at ? 0 : 1;
        sl_flow_feed(half->flow, &buf);
    }
    sl_flow_end(half->flow, 0, NULL);
}

/* Closing a lane checks that its buffers are home. */
static void twins_run(struct twins *t)
{
    sem_post(&t->go);
    for (int i = 0; i < 2; i++) {
        struct half *half = &t->half[i];
        sem_wait(&half->done);
        half->flow = sl_flow_free(half->flow);
        half->lane = sl_buf_lane_close(half->lane);
        sem_destroy(&half->done);
    }
    sl_task_wait_idle(&t->gate);
    t->workers = sl_worker_pool_free(t->workers);
    t->pool = sl_buf_pool_free(t->pool);
    sem_destroy(&t->entered);
    sem_destroy(&t->go);
}

static void assert_went_well(const struct half *half, int n_buffers, int n_aheads)
{
    assert_int_equal(half->result, 0);
    assert_true(half->head.finished);
    assert_int_equal(half->head.pushes, n_buffers);
    assert_int_equal(half->head.aheads, n_aheads);
    assert_int_equal(half->head.strangers, 0);
}

static void partners_look_ahead_as_long_as_both_have_buffers(void **state)
{
    (void)state;
    struct twins t;
    twins_open(&t);
    feed(&t.half[0], BUFFERS, NEVER);
    feed(&t.half[1], BUFFERS - 2, NEVER);
    twins_run(&t);
    assert_went_well(&t.half[0], BUFFERS, BUFFERS - 2);
    assert_went_well(&t.half[1], BUFFERS - 2, BUFFERS - 2);
}

static void partner_without_input_is_given_back(void **state)
{
    (void)state;
    struct twins t;
    twins_open(&t);
    feed(&t.half[0], BUFFERS, NEVER);
    feed(&t.half[1], 0, NEVER);
    twins_run(&t);
    assert_went_well(&t.half[0], BUFFERS, 0);
    assert_went_well(&t.half[1], 0, 0);
}

static void empty_buffers_are_not_looked_at(void **state)
{
    (void)state;
    struct twins t;
    twins_open(&t);
    feed(&t.half[0], 5, /* empty_at= */ 2);
    feed(&t.half[1], 5, NEVER);
    twins_run(&t);
    assert_went_well(&t.half[0], 4, 4);
    assert_went_well(&t.half[1], 5, 4);
}

static void failure_of_one_does_not_touch_the_other(void **state)
{
    (void)state;
    for (int failing = 0; failing < 2; failing++)
        for (int at = 0; at < BUFFERS; at++) {
            struct twins t;
            twins_open(&t);
            t.half[failing].head.fail_at = at;
            feed(&t.half[0], BUFFERS, NEVER);
            feed(&t.half[1], BUFFERS, NEVER);
            twins_run(&t);
            assert_int_equal(t.half[failing].result, -EBADMSG);
            assert_false(t.half[failing].head.finished);
            assert_int_equal(t.half[failing].head.pushes, at + 1);
            const struct half *other = &t.half[!failing];
            assert_in_range(other->head.aheads, at + 1, at + 2);
            assert_went_well(other, BUFFERS, other->head.aheads);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partners_look_ahead_as_long_as_both_have_buffers),
        cmocka_unit_test(partner_without_input_is_given_back),
        cmocka_unit_test(empty_buffers_are_not_looked_at),
        cmocka_unit_test(failure_of_one_does_not_touch_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
