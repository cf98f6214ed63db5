/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers run when: up to the caller's number at once, as memory allows, and never one that
 * another process is fetching already. A layer that has passed all checks waits in staging, without
 * memory, until the image is allowed. The first failure, or a denial, stops all of them.
 */
#include "pull.h"

struct schedule {
    struct pull *pull;
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
    for (size_t i = 0; i < s->pull->n_layers; i++)
        if (s->pull->layers[i].flow)
            sl_layer_stop(&s->pull->layers[i]);
}

/* Starts a layer whose lock is held, or finds that its last holder has left it in the store. */
static int start_locked(struct schedule *s, struct layer *l, struct sl_error *err)
{
    int r = sl_layer_try_cache(l, err);
    if (r == 0)
        r = sl_layer_start(l, err);
    if (r == 0)
        s->n_running++;
    /* A layer that runs keeps its lock until its end. */
    if (!l->flow)
        sl_store_unlock_layer(l->pull->engine->store, l->diff_id, &l->lock_fd);
    return r < 0 ? r : 0;
}

/* -EAGAIN: somebody else fetches it, or there is no memory now. */
static int try_start(struct schedule *s, struct layer *l, struct sl_error *err)
{
    int r = sl_store_lock_layer(s->pull->engine->store, l->diff_id, /* cancel_fd= */ -1,
                                &l->lock_fd, err);
    if (r < 0)
        return r == -EAGAIN ? r : sl_layer_error(l, r, err);
    return start_locked(s, l, err);
}

static void start_some(struct schedule *s)
{
    for (size_t i = 0; i < s->pull->n_layers && s->n_running < s->jobs && s->result == 0; i++) {
        struct layer *l = &s->pull->layers[i];
        if (l->report->state != SL_LAYER_WAITING)
            continue;
        struct sl_error err = {0};
        int r = try_start(s, l, &err);
        if (r < 0 && r != -EAGAIN)
            note_failure(s, r, &err);
    }
}

/* Nothing is published before the image is allowed, and nothing after a failure. */
static void publish_some(struct schedule *s)
{
    struct sl_error err = {0};
    int r = s->result == 0 ? sl_pull_take_verdict(s->pull, &err) : 0;
    if (r < 0)
        note_failure(s, r, &err);
    for (size_t i = 0; i < s->pull->n_layers && r > 0 && s->result == 0; i++) {
        struct layer *l = &s->pull->layers[i];
        int published = l->passed ? sl_layer_publish(l, &err) : 0;
        if (published < 0)
            note_failure(s, published, &err);
    }
}

/* After a failure: of those that have passed nothing stays either. */
static void abandon_some(struct schedule *s)
{
    for (size_t i = 0; i < s->pull->n_layers; i++)
        if (s->pull->layers[i].passed)
            sl_layer_abandon(&s->pull->layers[i]);
}

static struct layer *first_waiting(struct pull *pull)
{
    for (size_t i = 0; i < pull->n_layers; i++)
        if (pull->layers[i].report->state == SL_LAYER_WAITING)
            return &pull->layers[i];
    return NULL;
}

/* Nothing runs here, so what waits is being fetched by another process. Holding no lock of our
 * own while we wait for theirs, two processes cannot wait for one another. */
static void wait_for_others(struct schedule *s, struct layer *l)
{
    struct sl_error err = {0};
    int r = sl_store_lock_layer(s->pull->engine->store, l->diff_id, s->pull->visit.cancel_fd,
                                &l->lock_fd, &err);
    if (r == 0)
        r = start_locked(s, l, &err);
    else
        r = sl_layer_error(l, r, &err);
    if (r == -EAGAIN)
        r = sl_schedule_no_memory(&err);
    if (r < 0)
        note_failure(s, r, &err);
}

static void wait_for_event(struct schedule *s)
{
    struct pull *pull = s->pull;
    struct sl_error err = {0};
    int r = sl_schedule_wait(pull->visit.cancel_fd, pull->event_fd, s->result < 0,
                             pull->options->progress != NULL, &err);
    if (r < 0)
        note_failure(s, r, &err);
    sl_pull_progress(pull, /* now= */ false);
}

static bool is_through(struct layer *l)
{
    pthread_mutex_lock(&l->pull->lock);
    bool through = l->through;
    pthread_mutex_unlock(&l->pull->lock);
    return through;
}

static void end_some(struct schedule *s)
{
    for (size_t i = 0; i < s->pull->n_layers; i++) {
        struct layer *l = &s->pull->layers[i];
        if (!l->flow || !is_through(l))
            continue;
        struct sl_error err = {0};
        int r = sl_layer_end(l, &err);
        if (r <= 0)
            s->n_running--;
        if (r < 0)
            note_failure(s, r, &err);
        else if (r > 0 && s->result < 0)
            sl_layer_stop(l);
    }
}

/* What is left to do when no layer runs; false when nothing is. Locks are not waited for while the
 * verdict is: layers that have passed hold some, and two processes could wait for one another. */
static bool wait_idle(struct schedule *s)
{
    struct layer *waiting = first_waiting(s->pull);
    if (s->result < 0 || (s->pull->gate && !waiting))
        return false;
    if (s->pull->gate)
        wait_for_others(s, waiting);
    else
        wait_for_event(s);
    return true;
}

int sl_pull_layers(struct pull *pull, struct sl_error *err)
{
    struct schedule s = {.pull = pull,
                         .err = err,
                         .jobs = pull->options->jobs ? pull->options->jobs : SL_JOBS_DEFAULT};
    for (;;) {
        publish_some(&s);
        start_some(&s);
        if (s.n_running > 0)
            wait_for_event(&s);
        else if (!wait_idle(&s))
            break;
        end_some(&s);
    }
    abandon_some(&s);
    return s.result;
}
