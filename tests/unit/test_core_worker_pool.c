/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/worker_pool.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static struct sl_worker_pool *make_pool(unsigned threads)
{
    struct sl_worker_pool *pool = NULL;
    assert_int_equal(sl_worker_pool_new(threads, &pool, NULL), 0);
    return pool;
}

struct counter {
    struct sl_task task;
    atomic_uint runs, inside;
    atomic_bool overlapped;
    unsigned plain; /* no lock: a task runs on one worker at a time */
    unsigned again; /* wakes itself so often */
};

static void count(struct sl_task *task)
{
    struct counter *c = (struct counter *)task;
    if (atomic_fetch_add(&c->inside, 1))
        atomic_store(&c->overlapped, true);
    atomic_fetch_add(&c->runs, 1);
    c->plain++;
    if (c->again) {
        c->again--;
        sl_task_wake(task);
    }
    atomic_fetch_sub(&c->inside, 1);
}

static void task_woken_once_runs_once(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(2);
    struct counter c = {0};
    sl_task_init(&c.task, pool, count);
    sl_task_wait_idle(&c.task); /* never woken: idle already */
    assert_int_equal(c.runs, 0);
    sl_task_wake(&c.task);
    sl_task_wait_idle(&c.task);
    assert_int_equal(c.runs, 1);
}

static void task_that_wakes_itself_runs_again(void **state)
{
    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        SL_AUTO(sl_worker_pool) pool = make_pool(threads);
        struct counter c = {.again = 1000};
        sl_task_init(&c.task, pool, count);
        sl_task_wake(&c.task);
        sl_task_wait_idle(&c.task);
        assert_int_equal(c.runs, 1001);
        assert_int_equal(c.plain, 1001);
        assert_false(c.overlapped);
    }
}

/* ---- woken while it runs ---- */

struct gated {
    struct sl_task task;
    sem_t entered, go;
    atomic_uint runs;
};

static void gated_run(struct sl_task *task)
{
    struct gated *g = (struct gated *)task;
    sem_post(&g->entered);
    sem_wait(&g->go);
    atomic_fetch_add(&g->runs, 1);
}

static void gated_open(struct gated *g, struct sl_worker_pool *pool)
{
    *g = (struct gated){0};
    sem_init(&g->entered, 0, 0);
    sem_init(&g->go, 0, 0);
    sl_task_init(&g->task, pool, gated_run);
}

static void gated_done(struct gated *g)
{
    sem_destroy(&g->entered);
    sem_destroy(&g->go);
}

static void task_woken_while_running_runs_exactly_once_more(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(3);
    struct gated g;
    gated_open(&g, pool);
    sl_task_wake(&g.task);
    sem_wait(&g.entered);
    for (int i = 0; i < 5; i++)
        sl_task_wake(&g.task);
    sem_post(&g.go);
    sem_wait(&g.entered);
    assert_int_equal(g.runs, 1);
    sem_post(&g.go);
    sl_task_wait_idle(&g.task);
    assert_int_equal(g.runs, 2);
    gated_done(&g);
}

static void task_queued_twice_runs_once(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(1);
    struct gated blocker;
    struct counter c = {0};
    gated_open(&blocker, pool);
    sl_task_init(&c.task, pool, count);
    sl_task_wake(&blocker.task);
    sem_wait(&blocker.entered);
    for (int i = 0; i < 5; i++)
        sl_task_wake(&c.task);
    sem_post(&blocker.go);
    sl_task_wait_idle(&c.task);
    assert_int_equal(c.runs, 1);
    sl_task_wait_idle(&blocker.task);
    gated_done(&blocker);
}

/* ---- idle ---- */

static void *wait_idle(void *arg)
{
    struct gated *g = arg;
    sl_task_wait_idle(&g->task);
    return (void *)(uintptr_t)atomic_load(&g->runs);
}

static void wait_idle_of_several_threads_ends_after_the_run(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(2);
    struct gated g;
    pthread_t waiters[4];
    gated_open(&g, pool);
    sl_task_wake(&g.task);
    sem_wait(&g.entered);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&waiters[i], NULL, wait_idle, &g), 0);
    sem_post(&g.go);
    for (size_t i = 0; i < 4; i++) {
        void *runs;
        pthread_join(waiters[i], &runs);
        assert_int_equal((uintptr_t)runs, 1);
    }
    gated_done(&g);
}

static void wait_idle_does_not_wait_for_other_tasks(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(2);
    struct gated busy;
    struct counter c = {0};
    gated_open(&busy, pool);
    sl_task_init(&c.task, pool, count);
    sl_task_wake(&busy.task);
    sem_wait(&busy.entered);
    sl_task_wake(&c.task);
    sl_task_wait_idle(&c.task);
    assert_int_equal(c.runs, 1);
    assert_int_equal(busy.runs, 0);
    sem_post(&busy.go);
    sl_task_wait_idle(&busy.task);
    gated_done(&busy);
}

/* ---- many ---- */

enum { N_TASKS = 16, N_WAKERS = 4, N_WAKES = 2000 };

struct crowd {
    struct counter tasks[N_TASKS];
};

static void *wake_many(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < N_WAKES; i++)
        sl_task_wake(&crowd->tasks[i * 7 % N_TASKS].task);
    return NULL;
}

static void many_wakers_never_make_a_task_run_twice_at_once(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(4);
    static struct crowd crowd;
    pthread_t wakers[N_WAKERS];
    for (size_t i = 0; i < N_TASKS; i++) {
        crowd.tasks[i] = (struct counter){0};
        sl_task_init(&crowd.tasks[i].task, pool, count);
    }
    for (size_t i = 0; i < N_WAKERS; i++)
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_many, &crowd), 0);
    for (size_t i = 0; i < N_WAKERS; i++)
        pthread_join(wakers[i], NULL);
    for (size_t i = 0; i < N_TASKS; i++) {
        struct counter *c = &crowd.tasks[i];
        sl_task_wait_idle(&c->task);
        assert_false(c->overlapped);
        assert_int_equal(c->plain, c->runs);
        assert_in_range(c->runs, 1, N_WAKERS * N_WAKES / N_TASKS);
    }
}

/* ---- the pool ---- */

static void free_waits_for_queued_tasks(void **state)
{
    (void)state;
    struct counter tasks[50] = {0};
    struct sl_worker_pool *pool = make_pool(2);
    for (size_t i = 0; i < 50; i++) {
        tasks[i].again = 3;
        sl_task_init(&tasks[i].task, pool, count);
        sl_task_wake(&tasks[i].task);
    }
    assert_null(sl_worker_pool_free(pool));
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(tasks[i].runs, 4);
    assert_null(sl_worker_pool_free(NULL));
}

static void pool_has_the_threads_it_was_asked_for(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) three = make_pool(3);
    SL_AUTO(sl_worker_pool) cores = make_pool(0);
    SL_AUTO(sl_worker_pool) bounded = make_pool(100000);
    assert_int_equal(sl_worker_pool_threads(three), 3);
    assert_true(sl_worker_pool_threads(cores) >= 1);
    assert_in_range(sl_worker_pool_threads(bounded), 1, 256);
}

static size_t count_threads(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

struct meeting {
    struct sl_task task;
    pthread_barrier_t *all;
};

static void meet(struct sl_task *task)
{
    (void)pthread_barrier_wait(((struct meeting *)task)->all);
}

/* Tasks that wait for one another end only if each has a thread. */
static void threads_come_with_the_work(void **state)
{
    (void)state;
    enum { N = 4 };
    size_t before = count_threads();
    SL_AUTO(sl_worker_pool) pool = make_pool(N);
    assert_int_equal(count_threads(), before + 1);
    for (unsigned round = 0; round < 50; round++) {
        pthread_barrier_t all;
        struct meeting meetings[N];
        pthread_barrier_init(&all, NULL, N);
        for (size_t i = 0; i < N; i++) {
            meetings[i].all = &all;
            sl_task_init(&meetings[i].task, pool, meet);
            sl_task_wake(&meetings[i].task);
        }
        for (size_t i = 0; i < N; i++)
            sl_task_wait_idle(&meetings[i].task);
        pthread_barrier_destroy(&all);
    }
    assert_int_equal(count_threads(), before + N);
}

struct masked {
    struct sl_task task;
    bool term_blocked;
};

static void look_at_mask(struct sl_task *task)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    ((struct masked *)task)->term_blocked = sigismember(&mask, SIGTERM) == 1;
}

static void workers_block_signals_and_the_caller_does_not(void **state)
{
    (void)state;
    SL_AUTO(sl_worker_pool) pool = make_pool(1);
    struct masked m = {0};
    sigset_t mine;
    sl_task_init(&m.task, pool, look_at_mask);
    sl_task_wake(&m.task);
    sl_task_wait_idle(&m.task);
    assert_true(m.term_blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

/* ---- partners ---- */

static void a_kind(void)
{
}

static void another_kind(void)
{
}

struct taker {
    struct sl_task task;
    struct gated *gate; /* first of all waits here */
    struct sl_task *took;
    struct sl_task *then_wakes; /* may be NULL */
    bool wakes_it, gave_back;
};

static void take(struct sl_task *task)
{
    struct taker *t = (struct taker *)task;
    gated_run(&t->gate->task);
    t->took = sl_task_take_partner(task);
    if (t->then_wakes)
        sl_task_wake(t->then_wakes);
    if (!t->took)
        return;
    if (t->wakes_it)
        sl_task_wake(t->took);
    t->gave_back = true;
    sl_task_give_back(t->took);
}

/* The taker waits behind its gate until `other` is queued. */
static void run_taker(struct taker *t, struct counter *other, void (*kind)(void),
                      void (*other_kind)(void))
{
    SL_AUTO(sl_worker_pool) pool = make_pool(1);
    struct gated gate;
    gated_open(&gate, pool);
    t->gate = &gate;
    sl_task_init(&t->task, pool, take);
    sl_task_init(&other->task, pool, count);
    t->task.kind = kind;
    other->task.kind = other_kind;
    sl_task_wake(&t->task);
    sem_wait(&gate.entered);
    sl_task_wake(&other->task);
    sem_post(&gate.go);
    sl_task_wait_idle(&other->task);
    assert_true(!t->took || t->gave_back);
    sl_task_wait_idle(&t->task);
    gated_done(&gate);
}

static void partner_is_taken_instead_of_run(void **state)
{
    (void)state;
    struct taker t = {0};
    struct counter other = {0};
    run_taker(&t, &other, a_kind, a_kind);
    assert_ptr_equal(t.took, &other.task);
    assert_int_equal(other.runs, 0);
}

static void partner_woken_meanwhile_runs_once(void **state)
{
    (void)state;
    struct taker t = {.wakes_it = true};
    struct counter other = {0};
    run_taker(&t, &other, a_kind, a_kind);
    assert_ptr_equal(t.took, &other.task);
    assert_int_equal(other.runs, 1);
}

static void tasks_of_other_kinds_are_no_partners(void **state)
{
    (void)state;
    void (*const kinds[][2])(void) = {{NULL, NULL}, {a_kind, another_kind}, {a_kind, NULL}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct taker t = {0};
        struct counter other = {0};
        run_taker(&t, &other, kinds[i][0], kinds[i][1]);
        assert_null(t.took);
        assert_int_equal(other.runs, 1);
    }
}

/* From anywhere in the queue, and nobody else is lost. */
static void partner_is_found_among_others(void **state)
{
    (void)state;
    enum { QUEUED = 3 };
    for (int partner = 0; partner < QUEUED; partner++) {
        SL_AUTO(sl_worker_pool) pool = make_pool(1);
        struct gated gate;
        struct counter queued[QUEUED] = {0};
        struct counter late = {0};
        gated_open(&gate, pool);
        struct taker t = {.gate = &gate, .then_wakes = &late.task};
        sl_task_init(&late.task, pool, count);
        sl_task_init(&t.task, pool, take);
        t.task.kind = a_kind;
        sl_task_wake(&t.task);
        sem_wait(&gate.entered);
        for (int i = 0; i < QUEUED; i++) {
            sl_task_init(&queued[i].task, pool, count);
            queued[i].task.kind = i == partner ? a_kind : another_kind;
            sl_task_wake(&queued[i].task);
        }
        sem_post(&gate.go);
        sl_task_wait_idle(&t.task);
        for (int i = 0; i < QUEUED; i++) {
            sl_task_wait_idle(&queued[i].task);
            assert_int_equal(queued[i].runs, i == partner ? 0 : 1);
        }
        assert_ptr_equal(t.took, &queued[partner].task);
        sl_task_wait_idle(&late.task);
        assert_int_equal(late.runs, 1);
        gated_done(&gate);
    }
}

/* Three threads may be, one of them goes on with the taker's own task, one is stuck: the third has
 * to come for what was given back, whether it had been started before or not. */
struct keeper {
    struct sl_task task;
    struct gated *other;  /* occupies a thread until `go` */
    struct gated partner; /* lets on what waits for it */
    struct sl_task *took;
};

static void keep_on(struct sl_task *task)
{
    struct keeper *k = (struct keeper *)task;
    sl_task_wake(&k->partner.task);
    k->took = sl_task_take_partner(task); /* likely: the thread for it has hardly begun */
    for (int i = 0; i < 100; i++)
        sched_yield(); /* it is asleep by now, likely, and comes for the other one */
    sl_task_wake(&k->other->task);
    sem_wait(&k->other->entered);
    if (k->took) {
        sl_task_wake(k->took);
        sl_task_give_back(k->took);
    }
    sem_wait(&k->partner.entered);
}

static void partner_given_back_does_not_wait_for_the_taker(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) {
        SL_AUTO(sl_worker_pool) pool = make_pool(3);
        struct gated other;
        gated_open(&other, pool);
        struct keeper k = {.other = &other};
        gated_open(&k.partner, pool);
        sem_post(&k.partner.go);
        sl_task_init(&k.task, pool, keep_on);
        k.task.kind = k.partner.task.kind = a_kind;
        sl_task_wake(&k.task);
        sl_task_wait_idle(&k.task);
        sl_task_wait_idle(&k.partner.task);
        assert_int_equal(k.partner.runs, 1);
        sem_post(&other.go);
        sl_task_wait_idle(&other.task);
        gated_done(&other);
        gated_done(&k.partner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(task_woken_once_runs_once),
        cmocka_unit_test(task_that_wakes_itself_runs_again),
        cmocka_unit_test(task_woken_while_running_runs_exactly_once_more),
        cmocka_unit_test(task_queued_twice_runs_once),
        cmocka_unit_test(wait_idle_of_several_threads_ends_after_the_run),
        cmocka_unit_test(wait_idle_does_not_wait_for_other_tasks),
        cmocka_unit_test(many_wakers_never_make_a_task_run_twice_at_once),
        cmocka_unit_test(free_waits_for_queued_tasks),
        cmocka_unit_test(pool_has_the_threads_it_was_asked_for),
        cmocka_unit_test(threads_come_with_the_work),
        cmocka_unit_test(workers_block_signals_and_the_caller_does_not),
        cmocka_unit_test(partner_is_taken_instead_of_run),
        cmocka_unit_test(partner_woken_meanwhile_runs_once),
        cmocka_unit_test(tasks_of_other_kinds_are_no_partners),
        cmocka_unit_test(partner_is_found_among_others),
        cmocka_unit_test(partner_given_back_does_not_wait_for_the_taker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
