/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers move when: up to the caller's number at once, as memory allows. The first failure
 * stops the others.
 */
#include "conversion.h"

struct schedule {
    struct conversion *conversion;
    unsigned jobs, n_running;
    int result; /* the first failure */
    struct sl_error *err;
};

static void note_failure(struct schedule *s, int r, const struct sl_error *err)
{
    if (s->result < 0)
        return;
    s->result = r;
    if (s->err)
        *s->err = *err;
    for (size_t i = 0; i < s->conversion->n_layers; i++)
        sl_convert_layer_stop(s->conversion->layers[i]);
}

/* False when there is no memory for more: its coming home is an event. */
static bool start_one(struct schedule *s, struct convert_layer *l)
{
    struct sl_error err = {0};
    int r = sl_convert_layer_start(l, &err);
    if (r == 0)
        s->n_running++;
    if (r == -EAGAIN)
        return false;
    if (r < 0)
        note_failure(s, r, &err);
    return true;
}

static void start_some(struct schedule *s)
{
    struct conversion *c = s->conversion;
    for (size_t i = 0; i < c->n_layers && s->n_running < s->jobs && s->result == 0; i++)
        if (c->layers[i]->state == CONVERT_WAITING && !start_one(s, c->layers[i]))
            return;
    sl_memory_withdraw(&c->memory);
}

static bool is_any_waiting(const struct conversion *c)
{
    for (size_t i = 0; i < c->n_layers; i++)
        if (c->layers[i]->state == CONVERT_WAITING)
            return true;
    return false;
}

static void wait_for_event(struct schedule *s)
{
    struct conversion *c = s->conversion;
    struct sl_error err = {0};
    int r = sl_schedule_wait(c->visit.cancel_fd, c->event_fd, /* watch_fd= */ -1, s->result < 0,
                             c->options->progress != NULL, &err);
    if (r < 0)
        note_failure(s, r, &err);
    sl_convert_progress(c, /* now= */ false);
}

static bool is_running(const struct convert_layer *l)
{
    return l->state == CONVERT_ASKING || l->state == CONVERT_MOVING ||
           l->state == CONVERT_WRAPPING || l->state == CONVERT_NAMING;
}

static bool is_through(struct convert_layer *l)
{
    pthread_mutex_lock(&l->conversion->lock);
    bool through = l->through;
    pthread_mutex_unlock(&l->conversion->lock);
    return through;
}

static void step_some(struct schedule *s)
{
    for (size_t i = 0; i < s->conversion->n_layers; i++) {
        struct convert_layer *l = s->conversion->layers[i];
        if (!is_running(l) || !is_through(l))
            continue;
        struct sl_error err = {0};
        int r = sl_convert_layer_next(l, &err);
        if (r <= 0)
            s->n_running--;
        if (r < 0)
            note_failure(s, r, &err);
    }
}

int sl_convert_layers(struct conversion *c, struct sl_error *err)
{
    struct schedule s = {
        .conversion = c, .err = err, .jobs = c->options->jobs ? c->options->jobs : SL_JOBS_DEFAULT};
    for (;;) {
        if (s.result == 0)
            start_some(&s);
        else
            sl_memory_withdraw(&c->memory);
        if (s.n_running == 0 && (s.result < 0 || !is_any_waiting(c)))
            return s.result;
        wait_for_event(&s);
        step_some(&s);
    }
}

/* ---- progress ---- */

static void collect(struct conversion *c)
{
    for (size_t i = 0; i < c->n_layers; i++) {
        struct convert_layer *l = c->layers[i];
        struct sl_blob_stream *stream = atomic_load(&l->stream);
        if (stream)
            l->report.done = sl_blob_stream_bytes(stream);
        c->layer_reports[i] = l->report;
    }
    c->report.seconds = (double)(sl_clock_ns() - c->started_ns) / 1e9;
}

void sl_convert_progress(struct conversion *c, bool now)
{
    if (!sl_progress_is_due(&c->reported_ns, now))
        return;
    collect(c);
    if (c->options->progress)
        c->options->progress(c->options->progress_arg, &c->report);
}
