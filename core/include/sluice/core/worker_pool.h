/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Worker threads and tasks. A task is run by at most one worker at a time, so what it touches
 * needs no locks. Nothing polls: a task that has nothing to do returns and waits to be woken.
 */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

struct sl_worker_pool;

/* Embedded in the object that does the work; may be freed once sl_task_wait_idle() returns. */
struct sl_task {
    void (*run)(struct sl_task *task);
    struct sl_worker_pool *pool;
    /* What partners do together; set before the first wake. NULL: has none. */
    void (*kind)(void);
    struct sl_task *next; /* the pool's */
    int state;            /* the pool's */
};

/* threads 0 means one for each core this process may use. They are started when there is work for
 * them. Signals are blocked in workers. */
SL_MUST_CHECK int sl_worker_pool_new(unsigned threads, struct sl_worker_pool **ret,
                                     struct sl_error *err);
/* Waits until no task is queued or running. */
struct sl_worker_pool *sl_worker_pool_free(struct sl_worker_pool *pool);
SL_DEFINE_AUTO(sl_worker_pool, sl_worker_pool_free)
/* At most. */
unsigned sl_worker_pool_threads(const struct sl_worker_pool *pool);

void sl_task_init(struct sl_task *task, struct sl_worker_pool *pool,
                  void (*run)(struct sl_task *task));
/* run() will start (again) some time after this call. Any thread, also from run() itself. */
void sl_task_wake(struct sl_task *task);
/* Another task of the same kind that is queued and that no worker is free for; NULL: none. It
 * counts as run by the calling worker until it is given back, exactly once; its own run() is not
 * called. Only from run() of `task`, and never more than one at a time. */
struct sl_task *sl_task_take_partner(struct sl_task *task);
/* As if its run() had returned: it may be freed, and is queued again when it was woken meanwhile.
 */
void sl_task_give_back(struct sl_task *partner);
/* Waits until the task neither runs nor will run. Not from a worker. */
void sl_task_wait_idle(struct sl_task *task);
