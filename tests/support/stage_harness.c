/* SPDX-License-Identifier: Apache-2.0 */
#include "stage_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    IN_BUFFERS = 2,
    MAX_OFFSET = 64,
    MAX_AGAIN_IN_A_ROW = 4, /* after that the stage makes no progress with buffers to hand */
    OUT_MAX = 512 * 1024 * 1024,
};

/* The stage behind the one under test. */
struct sink {
    struct sl_stage stage;
    struct sl_stage_harness *h;
    struct sl_buf *held;
    size_t n_held;
};

#define DEMAND(condition, what)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "stage harness: %s\n", what);                                          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static int sink_push(struct sl_stage *stage, struct sl_buf **bufp, struct sl_error *err)
{
    struct sink *s = (struct sink *)stage;
    DEMAND((*bufp)->len > 0, "the stage pushed an empty buffer past sl_stage_push()");
    int r = sl_bytes_append(&s->h->out, sl_buf_span(*bufp), OUT_MAX, err);
    if (s->n_held < s->h->hold && (*bufp)->lane == s->h->out_lane) {
        (*bufp)->next = s->held;
        s->held = *bufp;
        s->n_held++;
        *bufp = NULL;
    } else {
        sl_buf_release(bufp);
    }
    return r;
}

static void sink_let_go(struct sink *s)
{
    while (s->held) {
        struct sl_buf *buf = s->held;
        s->held = buf->next;
        buf->next = NULL;
        sl_buf_release(&buf);
    }
    s->n_held = 0;
}

static int sink_finish(struct sl_stage *stage, struct sl_error *err)
{
    (void)stage;
    (void)err;
    return 0;
}

static void sink_close(struct sl_stage *stage)
{
    (void)stage;
}

static const struct sl_stage_ops sink_ops = {
    .name = "sink",
    .phase = SL_PHASE_TREE,
    .push = sink_push,
    .finish = sink_finish,
    .close = sink_close,
};

unsigned sl_test_random(unsigned *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

void sl_test_fill(uint8_t *data, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (uint8_t)sl_test_random(&seed);
}

/* Cuts the next piece off the input. */
static struct sl_buf *next_piece(struct sl_stage_harness *h, struct sl_span *input,
                                 struct sl_cuts *cuts)
{
    struct sl_buf *buf = sl_buf_acquire(h->in_lane);
    DEMAND(buf, "the stage keeps more than one input buffer");
    buf->off = cuts->seed ? sl_test_random(&cuts->seed) % MAX_OFFSET : 0;
    size_t n = cuts->size ? cuts->size : buf->cap;
    if (cuts->seed)
        n = 1 + sl_test_random(&cuts->seed) % n;
    if (n > buf->cap - buf->off)
        n = buf->cap - buf->off;
    if (n > input->len)
        n = input->len;
    memcpy(buf->data + buf->off, input->data, n);
    buf->len = n;
    input->data += n;
    input->len -= n;
    return buf;
}

/* True when the call is to be repeated. */
static bool is_again(struct sink *s, int r, unsigned *in_a_row)
{
    if (r != -EAGAIN) {
        *in_a_row = 0;
        return false;
    }
    s->h->n_again++;
    DEMAND(++*in_a_row <= MAX_AGAIN_IN_A_ROW, "-EAGAIN although all output buffers are home");
    sink_let_go(s);
    return true;
}

static int push_piece(struct sink *s, struct sl_stage *stage, struct sl_buf *buf,
                      struct sl_error *err)
{
    unsigned in_a_row = 0;
    int r;
    do {
        size_t before = buf->len;
        r = sl_stage_push(stage, &buf, err);
        DEMAND(r || !buf, "the stage answered 0 and did not take the buffer");
        DEMAND(r != -EAGAIN || buf, "the stage answered -EAGAIN and took the buffer");
        if (buf && buf->len < before)
            in_a_row = 0;
    } while (is_again(s, r, &in_a_row));
    sl_buf_release(&buf);
    return r;
}

static int finish(struct sink *s, struct sl_stage *stage, struct sl_error *err)
{
    unsigned in_a_row = 0;
    int r;
    do {
        size_t before = s->h->out.len;
        r = sl_stage_finish(stage, err);
        if (s->h->out.len > before)
            in_a_row = 0;
    } while (is_again(s, r, &in_a_row));
    s->h->n_finished = 1;
    return r;
}

static int drive(struct sink *s, struct sl_stage *stage, struct sl_span input, struct sl_cuts cuts,
                 struct sl_error *err)
{
    size_t total = input.len;
    while (input.len) {
        struct sl_buf *buf = next_piece(s->h, &input, &cuts);
        s->h->pushed = total - input.len;
        int r = push_piece(s, stage, buf, err);
        if (r < 0)
            return r;
    }
    return finish(s, stage, err);
}

int sl_stage_harness_run(struct sl_stage_harness *h, struct sl_stage **stagep, struct sl_span input,
                         struct sl_cuts cuts, struct sl_error *err)
{
    struct sl_stage *stage = sl_steal(stagep);
    struct sink s = {.stage = {.ops = &sink_ops}, .h = h};
    sl_bytes_done(&h->out);
    h->pushed = h->n_again = h->n_finished = 0;

    stage->next = &s.stage;
    int r = drive(&s, stage, input, cuts, err);
    stage->next = NULL;
    sink_let_go(&s);
    (void)sl_stage_close(stage);
    return r;
}

void sl_stage_harness_open(struct sl_stage_harness *h, size_t out_buffers)
{
    *h = (struct sl_stage_harness){0};
    size_t bytes = (IN_BUFFERS + out_buffers) * SL_BUF_SIZE;
    DEMAND(!sl_buf_pool_new(bytes, &h->pool, /* err= */ NULL), "no pool");
    DEMAND(!sl_buf_lane_open(h->pool, IN_BUFFERS, &h->in_lane, /* err= */ NULL), "no lane");
    if (out_buffers)
        DEMAND(!sl_buf_lane_open(h->pool, out_buffers, &h->out_lane, /* err= */ NULL), "no lane");
}

void sl_stage_harness_close(struct sl_stage_harness *h)
{
    /* Closing a lane demands that all its buffers are home. */
    (void)sl_buf_lane_close(h->in_lane);
    (void)sl_buf_lane_close(h->out_lane);
    (void)sl_buf_pool_free(h->pool);
    sl_bytes_done(&h->out);
}
