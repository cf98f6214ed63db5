/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which layers run when: up to the caller's number at once, as memory allows, and never one that
 * another pull or process is fetching already. While one waits, for memory, for somebody's lock or
 * for the verdict, the others go on; nothing is held by what waits but what has passed. A layer
 * that has passed all checks waits in staging, without memory, until the image is allowed; then it
 * is committed beside the others. The first failure, or a denial, stops all of them.
 */
#include "pull.h"

#include <sys/inotify.h>
#include <unistd.h>

struct schedule {
    struct pull *pull;
    unsigned jobs, n_running, n_committing;
    bool is_short; /* of memory, in this round */
    int result;    /* the first failure */
    enum sl_errc why;
    struct sl_error *err;
};

/* Nothing is committed any more that has not begun to be. */
static void withdraw_commits(struct schedule *s)
{
    struct layer *l;
    while ((l = sl_layer_commits_withdraw(s->pull))) {
        l->is_committing = false;
        l->passed = true;
        s->n_committing--;
    }
}

static void note_failure(struct schedule *s, int r, const struct sl_error *err)
{
    if (s->result < 0)
        return;
    s->result = r;
    s->why = err->code;
    if (s->err)
        *s->err = *err;
    for (size_t i = 0; i < s->pull->n_layers; i++)
        if (s->pull->layers[i].flow)
            sl_layer_stop(&s->pull->layers[i]);
    withdraw_commits(s);
}

static void unlock(struct layer *l)
{
    sl_store_unlock_layer(l->pull->engine->store, l->diff_id, &l->lock_fd);
}

/* Starts a layer whose lock and memory are held, or finds that its last holder has left it in the
 * store. */
static int start_locked(struct schedule *s, struct layer *l, struct sl_error *err)
{
    int r = sl_layer_try_cache(l, err);
    if (r != 0) {
        sl_layer_unreserve(l);
        unlock(l);
        return r < 0 ? r : 0;
    }
    /* A layer that runs keeps its lock until its end, and one that fails here has lost it. */
    r = sl_layer_start(l, err);
    if (r == 0)
        s->n_running++;
    return r;
}

/* -EAGAIN: there is no memory now, or somebody else fetches it. No lock is held by who waits for
 * memory, and no memory by who waits for a lock. */
static int try_start(struct schedule *s, struct layer *l, struct sl_error *err)
{
    int r = sl_layer_try_cache(l, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (s->is_short)
        return -EAGAIN;
    r = sl_layer_reserve(l, err);
    s->is_short = r == -EAGAIN;
    if (r < 0)
        return r == -EAGAIN ? r : sl_layer_error(l, r, err);
    r = sl_store_lock_layer(s->pull->engine->store, l->diff_id, &l->wait, &l->lock_fd, err);
    if (r == 0)
        return start_locked(s, l, err);
    sl_layer_unreserve(l);
    return r == -EAGAIN ? r : sl_layer_error(l, r, err);
}

static void start_some(struct schedule *s)
{
    s->is_short = false;
    for (size_t i = 0; i < s->pull->n_layers && s->n_running < s->jobs && s->result == 0; i++) {
        struct layer *l = &s->pull->layers[i];
        if (l->report->state != SL_LAYER_WAITING)
            continue;
        struct sl_error err = {0};
        int r = try_start(s, l, &err);
        if (r < 0 && r != -EAGAIN)
            note_failure(s, r, &err);
    }
    /* Whoever does not need his turn passes it on. */
    if (!s->is_short || s->result < 0)
        sl_memory_withdraw(&s->pull->memory);
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
        if (!l->passed)
            continue;
        int began = sl_layer_publish(l, &err);
        if (began < 0)
            note_failure(s, began, &err);
        else
            s->n_committing++;
    }
}

bool sl_pull_keeps_layers(enum sl_errc why)
{
    return why == SL_E_NETWORK || why == SL_E_CANCELLED;
}

/* After a failure: of those that have passed nothing stays either, unless it stays for the next
 * try; then those that were on their last step stay too. */
static void abandon_some(struct schedule *s)
{
    bool keeps = s->pull->gate && sl_pull_keeps_layers(s->why);
    for (size_t i = 0; i < s->pull->n_layers; i++) {
        struct layer *l = &s->pull->layers[i];
        if (l->passed && !(keeps && sl_layer_publish(l, /* err= */ NULL) == 0))
            sl_layer_abandon(l);
    }
    sl_layer_commits_wait(s->pull);
    for (size_t i = 0; i < s->pull->n_layers; i++) {
        struct layer *l = &s->pull->layers[i];
        if (l->is_committing && sl_layer_published(l, /* err= */ NULL) < 0)
            continue; /* it is not kept, then */
    }
}

static bool is_any_waiting(const struct pull *pull)
{
    for (size_t i = 0; i < pull->n_layers; i++)
        if (pull->layers[i].report->state == SL_LAYER_WAITING)
            return true;
    return false;
}

/* The next round asks for every lock again. */
static void forget_lock_events(const struct pull *pull)
{
    char events[sizeof(struct inotify_event) * 64];
    while (pull->lock_watch_fd >= 0 && read(pull->lock_watch_fd, events, sizeof(events)) > 0)
        continue;
}

static void wait_for_event(struct schedule *s)
{
    struct pull *pull = s->pull;
    struct sl_error err = {0};
    uint64_t began = sl_trace_begin(pull->trace);
    int r = sl_schedule_wait(pull->visit.cancel_fd, pull->event_fd, pull->lock_watch_fd,
                             s->result < 0, pull->options->progress != NULL, &err);
    sl_trace_end(pull->trace, "wait", /* layer= */ 0, began);
    if (r < 0)
        note_failure(s, r, &err);
    forget_lock_events(pull);
    sl_pull_progress(pull, /* now= */ false);
}

static bool is_through(struct layer *l)
{
    pthread_mutex_lock(&l->pull->lock);
    bool through = l->through;
    pthread_mutex_unlock(&l->pull->lock);
    return through;
}

static void end_commits(struct schedule *s)
{
    for (size_t i = 0; i < s->pull->n_layers; i++) {
        struct layer *l = &s->pull->layers[i];
        if (!l->is_committing || !sl_layer_commit_is_over(l))
            continue;
        struct sl_error err = {0};
        int r = sl_layer_published(l, &err);
        s->n_committing--;
        if (r < 0)
            note_failure(s, r, &err);
    }
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

/* Whether anything is left that an event will come from. Before the verdict that is the verdict. */
static bool is_over(const struct schedule *s)
{
    if (s->n_running > 0 || s->n_committing > 0)
        return false;
    return s->result < 0 || (s->pull->gate && !is_any_waiting(s->pull));
}

/* What is there costs no space. */
static void use_cache(struct schedule *s)
{
    for (size_t i = 0; i < s->pull->n_layers && s->result == 0; i++) {
        struct sl_error err = {0};
        int r = sl_layer_try_cache(&s->pull->layers[i], &err);
        if (r < 0)
            note_failure(s, r, &err);
    }
    sl_pull_progress(s->pull, /* now= */ true); /* what is missing, before it may not fit */
    struct sl_error err = {0};
    int r = s->result == 0 ? sl_pull_check_space(s->pull, &err) : 0;
    if (r < 0)
        note_failure(s, r, &err);
}

int sl_pull_layers(struct pull *pull, struct sl_error *err)
{
    struct schedule s = {.pull = pull,
                         .err = err,
                         .jobs = pull->options->jobs ? pull->options->jobs : SL_JOBS_DEFAULT};
    use_cache(&s);
    for (;;) {
        publish_some(&s);
        start_some(&s);
        if (is_over(&s))
            break;
        wait_for_event(&s);
        end_some(&s);
        end_commits(&s);
    }
    abandon_some(&s);
    return s.result;
}
