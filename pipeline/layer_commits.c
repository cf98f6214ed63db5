/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a pull that commits layers, so that the pulling thread never waits for the disk:
 * other layers start, and end, meanwhile. What has passed while it waits is committed together, by
 * one sync.
 */
#include "pull.h"

#include <pthread.h>
#include <unistd.h>

static struct layer *layer_of(struct sl_layer_commit *commit)
{
    return (struct layer *)((char *)commit - offsetof(struct layer, commit));
}

static struct sl_layer_commit *take_all(struct pull *pull)
{
    pthread_mutex_lock(&pull->lock);
    struct sl_layer_commit *first = pull->commits.first;
    pull->commits.first = NULL;
    pthread_mutex_unlock(&pull->lock);
    return first;
}

/* From then on they are the pulling thread's. */
static void announce(struct pull *pull, struct sl_layer_commit *first)
{
    const uint64_t one = 1;
    pthread_mutex_lock(&pull->lock);
    for (struct sl_layer_commit *c = first; c; c = c->next) {
        layer_of(c)->commit_ended_ns = sl_clock_ns();
        layer_of(c)->is_commit_over = true;
    }
    ssize_t n = write(pull->event_fd, &one, sizeof(one));
    (void)n;
    pthread_mutex_unlock(&pull->lock);
}

static void run(struct sl_task *task)
{
    struct pull *pull = ((struct layer_commits *)task)->pull;
    (void)pthread_setname_np(pthread_self(), "commit");
    struct sl_layer_commit *first = take_all(pull);
    if (!first)
        return;
    uint64_t began = sl_trace_begin(pull->trace);
    sl_gate_commit_layers(pull->gate, first);
    sl_trace_end(pull->trace, "sync and commit layers", /* layer= */ 0, began);
    announce(pull, first);
}

static int start_thread(struct pull *pull, struct sl_error *err)
{
    struct layer_commits *commits = &pull->commits;
    if (commits->pool)
        return 0;
    int r = sl_worker_pool_new(/* threads= */ 1, &commits->pool, err);
    if (r < 0)
        return r;
    commits->pull = pull;
    sl_task_init(&commits->task, commits->pool, run);
    return 0;
}

int sl_layer_commits_add(struct layer *l, struct sl_error *err)
{
    struct pull *pull = l->pull;
    int r = start_thread(pull, err);
    if (r < 0)
        return r;
    l->is_commit_over = false;
    pthread_mutex_lock(&pull->lock);
    l->commit.next = pull->commits.first;
    pull->commits.first = &l->commit;
    pthread_mutex_unlock(&pull->lock);
    sl_task_wake(&pull->commits.task);
    return 0;
}

bool sl_layer_commit_is_over(struct layer *l)
{
    pthread_mutex_lock(&l->pull->lock);
    bool is_over = l->is_commit_over;
    pthread_mutex_unlock(&l->pull->lock);
    return is_over;
}

struct layer *sl_layer_commits_withdraw(struct pull *pull)
{
    pthread_mutex_lock(&pull->lock);
    struct sl_layer_commit *first = pull->commits.first;
    pull->commits.first = first ? first->next : NULL;
    pthread_mutex_unlock(&pull->lock);
    return first ? layer_of(first) : NULL;
}

void sl_layer_commits_wait(struct pull *pull)
{
    if (pull->commits.pool)
        sl_task_wait_idle(&pull->commits.task);
}

void sl_layer_commits_done(struct pull *pull)
{
    pull->commits.pool = sl_worker_pool_free(pull->commits.pool);
}
