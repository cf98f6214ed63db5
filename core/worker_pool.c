/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/worker_pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

enum { WORKERS_MAX = 256 };

enum task_state {
    TASK_IDLE,      /* not in the queue, nobody runs it */
    TASK_QUEUED,    /* will be run */
    TASK_RUNNING,   /* a worker is in run() */
    TASK_RUN_AGAIN, /* woken while running: will be queued when run() returns */
};

struct sl_worker_pool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* the queue has an item, or stopping */
    pthread_cond_t idle; /* some task went idle while somebody waits for that */
    struct sl_task *head, *tail;
    unsigned n_threads, threads_max; /* threads come as they are needed, and stay */
    unsigned n_queued, n_sleeping;   /* tasks; threads */
    unsigned n_running, n_waiting;
    bool stopping;
    pthread_t threads[];
};

static void enqueue(struct sl_worker_pool *pool, struct sl_task *task)
{
    task->next = NULL;
    if (pool->tail)
        pool->tail->next = task;
    else
        pool->head = task;
    pool->tail = task;
    pool->n_queued++;
}

/* Takes the task behind `before` out of the queue; NULL: the first. */
static struct sl_task *dequeue(struct sl_worker_pool *pool, struct sl_task *before)
{
    struct sl_task **place = before ? &before->next : &pool->head;
    struct sl_task *task = *place;
    *place = task->next;
    if (pool->tail == task)
        pool->tail = before;
    pool->n_queued--;
    return task;
}

static void run_begins(struct sl_worker_pool *pool, struct sl_task *task)
{
    task->state = TASK_RUNNING;
    pool->n_running++;
}

/* sl_task_wait_idle() may free the task once it is idle. */
static void run_ends(struct sl_worker_pool *pool, struct sl_task *task)
{
    pool->n_running--;
    if (task->state == TASK_RUN_AGAIN) {
        task->state = TASK_QUEUED;
        enqueue(pool, task);
        return;
    }
    task->state = TASK_IDLE;
    if (pool->n_waiting)
        pthread_cond_broadcast(&pool->idle);
}

/* Runs one task outside the lock. */
static void run_one(struct sl_worker_pool *pool, struct sl_task *task)
{
    run_begins(pool, task);
    pthread_mutex_unlock(&pool->lock);
    task->run(task);
    pthread_mutex_lock(&pool->lock);
    run_ends(pool, task);
}

static void *worker(void *arg)
{
    struct sl_worker_pool *pool = arg;
    (void)pthread_setname_np(pthread_self(), "worker");
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->head && !pool->stopping) {
            pool->n_sleeping++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->n_sleeping--;
        }
        if (!pool->head)
            break;
        run_one(pool, dequeue(pool, /* before= */ NULL));
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Signals belong to the thread that runs the program's story. 0 or an errno. */
static int add_thread(struct sl_worker_pool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&pool->threads[pool->n_threads], NULL, worker, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        pool->n_threads++;
    return r;
}

static unsigned usable_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (unsigned)n;
}

static void stop_threads(struct sl_worker_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->n_threads; i++)
        (void)pthread_join(pool->threads[i], NULL);
}

int sl_worker_pool_new(unsigned threads, struct sl_worker_pool **ret, struct sl_error *err)
{
    if (threads == 0)
        threads = usable_cores();
    if (threads > WORKERS_MAX)
        threads = WORKERS_MAX;
    struct sl_worker_pool *pool = calloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
    if (!pool)
        return sl_error_oom(err);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->threads_max = threads;
    /* With one from the beginning, later ones may fail to start: the work is done all the same. */
    int r = add_thread(pool);
    if (r != 0) {
        (void)sl_worker_pool_free(pool);
        return sl_error_system(err, r, "start a worker thread");
    }
    *ret = pool;
    return 0;
}

struct sl_worker_pool *sl_worker_pool_free(struct sl_worker_pool *pool)
{
    if (!pool)
        return NULL;
    int saved = errno;
    pthread_mutex_lock(&pool->lock);
    pool->n_waiting++;
    while (pool->head || pool->n_running)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pool->n_waiting--;
    pthread_mutex_unlock(&pool->lock);
    stop_threads(pool);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->idle);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    errno = saved;
    return NULL;
}

unsigned sl_worker_pool_threads(const struct sl_worker_pool *pool)
{
    return pool->threads_max;
}

void sl_task_init(struct sl_task *task, struct sl_worker_pool *pool,
                  void (*run)(struct sl_task *task))
{
    task->run = run;
    task->pool = pool;
    task->kind = NULL;
    task->next = NULL;
    task->state = TASK_IDLE;
}

/* Of what was just queued. A thread that was signalled and has not come yet still counts as asleep:
 * so do its tasks. */
static void call_thread(struct sl_worker_pool *pool)
{
    if (pool->n_queued > pool->n_sleeping && pool->n_threads < pool->threads_max)
        (void)add_thread(pool);
    pthread_cond_signal(&pool->work);
}

void sl_task_wake(struct sl_task *task)
{
    struct sl_worker_pool *pool = task->pool;
    pthread_mutex_lock(&pool->lock);
    if (task->state == TASK_RUNNING) {
        task->state = TASK_RUN_AGAIN;
    } else if (task->state == TASK_IDLE) {
        task->state = TASK_QUEUED;
        enqueue(pool, task);
        call_thread(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

/* The first of the queue that is of this kind. Its length is bounded by the segments in flight. */
static struct sl_task *dequeue_like(struct sl_worker_pool *pool, void (*kind)(void))
{
    struct sl_task *before = NULL;
    for (struct sl_task *task = pool->head; task; before = task, task = task->next)
        if (task->kind == kind)
            return dequeue(pool, before);
    return NULL;
}

struct sl_task *sl_task_take_partner(struct sl_task *task)
{
    struct sl_worker_pool *pool = task->pool;
    if (!task->kind)
        return NULL;
    struct sl_task *partner = NULL;
    pthread_mutex_lock(&pool->lock);
    /* What is queued while a worker is free is that worker's. */
    if (pool->n_sleeping == 0)
        partner = dequeue_like(pool, task->kind);
    if (partner)
        run_begins(pool, partner);
    pthread_mutex_unlock(&pool->lock);
    return partner;
}

void sl_task_give_back(struct sl_task *partner)
{
    struct sl_worker_pool *pool = partner->pool;
    pthread_mutex_lock(&pool->lock);
    run_ends(pool, partner);
    /* Who took it goes on with its own task, so that another thread has to come for it. */
    if (pool->head)
        call_thread(pool);
    pthread_mutex_unlock(&pool->lock);
}

void sl_task_wait_idle(struct sl_task *task)
{
    struct sl_worker_pool *pool = task->pool;
    pthread_mutex_lock(&pool->lock);
    pool->n_waiting++;
    while (task->state != TASK_IDLE)
        pthread_cond_wait(&pool->idle, &pool->lock);
    pool->n_waiting--;
    pthread_mutex_unlock(&pool->lock);
}
