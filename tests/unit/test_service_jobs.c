/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs over a library and a configuration that do what the test says, when it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "jobs.h"
#include "make_room.h"
#include "sluice/core/cancel.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 30, PULLS_SEEN_MAX = 16 };

/* ---- a library as the test wants it ---- */

static struct {
    int resolve, finish;      /* eventfds: one pull goes on for each one that is added */
    sem_t begun, going, over; /* pulls that were begun, that were resolved and go on, that end */
    atomic_uint joins, jobs_counted, n_begun, n_cancelled, n_backend_cancelled;
    char order[PULLS_SEEN_MAX][64];
    char manifest[64];
    enum sluice_code result; /* of what finishes */
    atomic_bool is_deaf;     /* to cancellations */
    atomic_ulong generation;
    atomic_uint stale_holds, n_holds; /* the configuration is replaced behind those who take it */
    struct sl_generation held;
    int errnum; /* of what fails */
    sem_t full, room, merged,
        leave;           /* told, awaited, told and awaited, of a pull that finds no room */
    atomic_bool lingers; /* who has merged, until it may leave */
    struct sl_image_claims *claims;
} fake;

static const struct sl_config evicting = {.evict = true};

static void wait_on(sem_t *sem)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static void let_go(int gate)
{
    assert_int_equal(eventfd_write(gate, 1), 0);
}

/* False when it was cancelled first. */
static bool pass(int gate, int cancel_fd)
{
    for (;;) {
        struct pollfd fds[] = {sl_cancel_pollfd(fake.is_deaf ? -1 : cancel_fd),
                               {.fd = gate, .events = POLLIN}};
        eventfd_t one;
        (void)poll(fds, 2, -1);
        if (fds[0].revents)
            return false;
        if (fds[1].revents && eventfd_read(gate, &one) == 0)
            return true;
    }
}

static int end_badly(struct sluice_error *err, enum sluice_code code, int errnum)
{
    *err = (struct sluice_error){.code = code, .errnum = errnum};
    (void)snprintf(err->message, sizeof(err->message), "as the test says");
    fake.n_cancelled += code == SLUICE_E_CANCELLED;
    sem_post(&fake.over);
    return -errnum;
}

int sluice_pull(struct sluice *s, const struct sluice_pull_options *o,
                struct sluice_pull_report **ret, struct sluice_error *err)
{
    (void)s;
    char name[96], manifest[64];
    unsigned n = fake.n_begun++;
    assert_true(n < PULLS_SEEN_MAX);
    (void)snprintf(fake.order[n], sizeof(fake.order[n]), "%s", o->image);
    sem_post(&fake.begun);
    if (!pass(fake.resolve, o->cancel_fd))
        return end_badly(err, SLUICE_E_CANCELLED, ECANCELED);
    (void)snprintf(name, sizeof(name), "canonical/%s", o->image);
    (void)snprintf(manifest, sizeof(manifest), "%s", fake.manifest);
    if (o->resolved(o->arg, name, manifest) != 0) {
        bool lingers = atomic_exchange(&fake.lingers, false);
        if (lingers) {
            sem_post(&fake.merged);
            wait_on(&fake.leave);
        }
        return end_badly(err, SLUICE_E_CANCELLED, ECANCELED);
    }
    sem_post(&fake.going);
    if (!pass(fake.finish, o->cancel_fd))
        return end_badly(err, SLUICE_E_CANCELLED, ECANCELED);
    if (fake.result != SLUICE_OK)
        return end_badly(err, fake.result, fake.errnum);
    struct sluice_pull_report *report = calloc(1, sizeof(*report));
    assert_non_null(report);
    report->manifest = strdup(manifest);
    o->progress(o->arg, report);
    *ret = report;
    sem_post(&fake.over);
    return 0;
}

struct sluice_pull_report *sluice_pull_report_free(struct sluice_pull_report *report)
{
    if (report)
        free((char *)report->manifest);
    free(report);
    return NULL;
}

int sl_backend_hold(struct sl_backend *backend, struct sl_generation **ret, struct sl_error *err)
{
    (void)backend, (void)err;
    struct sl_generation *g = calloc(1, sizeof(*g));
    assert_non_null(g);
    g->number = fake.generation;
    g->config = &evicting;
    fake.n_holds++;
    if (fake.stale_holds > 0) {
        fake.stale_holds--;
        g->number--;
    }
    *ret = g;
    return 0;
}

void sl_backend_release(struct sl_backend *backend, struct sl_generation *generation)
{
    (void)backend;
    free(generation);
}

void sl_backend_cancel(struct sl_backend *backend)
{
    (void)backend;
    fake.n_backend_cancelled++;
}

uint64_t sl_backend_number(struct sl_backend *backend)
{
    (void)backend;
    return fake.generation;
}

bool sl_make_room(struct sluice *sluice, struct sl_image_claims *claims, uint64_t needed,
                  uint64_t wanted)
{
    (void)sluice, (void)claims, (void)needed, (void)wanted;
    sem_post(&fake.full);
    wait_on(&fake.room);
    return true;
}

void sl_metrics_count_job(struct sl_metrics *metrics, const struct sluice_pull_report *report,
                          const struct sluice_error *err)
{
    (void)metrics;
    assert_true(!report == (err != NULL));
    fake.jobs_counted++;
}

void sl_metrics_count_join(struct sl_metrics *metrics)
{
    (void)metrics;
    fake.joins++;
}

/* ---- those who wait ---- */

struct caller {
    struct sl_job_waiter *waiter;
    sem_t heard;
    enum sluice_code code;
    int errnum;
    char manifest[64];
};

static void on_done(void *arg, const struct sluice_pull_report *report,
                    const struct sluice_error *err)
{
    struct caller *c = arg;
    c->code = err ? err->code : SLUICE_OK;
    c->errnum = err ? err->errnum : 0;
    (void)snprintf(c->manifest, sizeof(c->manifest), "%s", report ? report->manifest : "");
    sem_post(&c->heard);
}

static void ask(struct sl_jobs *jobs, struct caller *c, const char *image)
{
    struct sl_error err = {0};
    *c = (struct caller){0};
    sem_init(&c->heard, 0, 0);
    assert_int_equal(sl_jobs_pull(jobs, image, on_done, c, &c->waiter, &err), 0);
    assert_non_null(c->waiter);
}

static void hear(struct caller *c, enum sluice_code code)
{
    int more;
    wait_on(&c->heard);
    assert_int_equal(c->code, code);
    sem_getvalue(&c->heard, &more);
    assert_int_equal(more, 0);
    sem_destroy(&c->heard);
    c->waiter = sl_job_waiter_free(c->waiter);
}

static struct sl_jobs *begin(unsigned pulls)
{
    struct sl_jobs_options options = {.pulls = pulls};
    struct sl_jobs *jobs = NULL;
    assert_int_equal(sl_image_claims_new(&fake.claims, NULL), 0);
    options.claims = fake.claims;
    fake.resolve = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    fake.finish = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    sem_init(&fake.begun, 0, 0);
    sem_init(&fake.going, 0, 0);
    sem_init(&fake.over, 0, 0);
    sem_init(&fake.full, 0, 0);
    sem_init(&fake.room, 0, 0);
    sem_init(&fake.merged, 0, 0);
    sem_init(&fake.leave, 0, 0);
    fake.joins = fake.jobs_counted = fake.n_begun = fake.n_cancelled = 0;
    fake.n_backend_cancelled = 0;
    fake.result = SLUICE_OK;
    fake.errnum = EIO;
    fake.is_deaf = fake.lingers = false;
    fake.stale_holds = fake.n_holds = 0;
    fake.generation = 1;
    strcpy(fake.manifest, "sha256:1");
    assert_int_equal(sl_jobs_new(&options, &jobs, NULL), 0);
    return jobs;
}

static void finish(struct sl_jobs *jobs)
{
    sl_jobs_drain(jobs, PATIENCE_S);
    assert_true(sl_jobs_are_idle(jobs));
    assert_true(fake.n_backend_cancelled > 0); /* for those who wait for it, behind a broker */
    (void)sl_jobs_free(jobs);
    fake.claims = sl_image_claims_free(fake.claims);
    close(fake.resolve);
    close(fake.finish);
    sem_destroy(&fake.begun);
    sem_destroy(&fake.going);
    sem_destroy(&fake.over);
    sem_destroy(&fake.full);
    sem_destroy(&fake.room);
    sem_destroy(&fake.merged);
    sem_destroy(&fake.leave);
}

/* A pull of image that has been resolved, and hangs. */
static void ask_and_resolve(struct sl_jobs *jobs, struct caller *c, const char *image)
{
    ask(jobs, c, image);
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.going);
}

/* ---- joining ---- */

static void jobs_same_name_before_it_is_resolved_joins(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask(jobs, &a, "alpine");
    wait_on(&fake.begun);
    ask(jobs, &b, "docker.io/library/alpine:latest");
    let_go(fake.resolve);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    hear(&b, SLUICE_OK);
    assert_string_equal(b.manifest, "sha256:1");
    assert_int_equal(fake.n_begun, 1);
    assert_int_equal(fake.joins, 1);
    finish(jobs);
    assert_int_equal(fake.jobs_counted, 1);
}

static void jobs_same_manifest_after_it_is_resolved_merges(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.over); /* its own pull */
    assert_int_equal(fake.joins, 1);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    hear(&b, SLUICE_OK);
    finish(jobs);
    assert_int_equal(fake.n_begun, 2);
    assert_int_equal(fake.jobs_counted, 1);
}

static void jobs_other_manifest_is_pulled_beside(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask_and_resolve(jobs, &a, "alpine");
    strcpy(fake.manifest, "sha256:2"); /* the tag was moved */
    ask_and_resolve(jobs, &b, "alpine");
    let_go(fake.finish);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    hear(&b, SLUICE_OK);
    assert_string_equal(a.manifest, "sha256:1");
    assert_string_equal(b.manifest, "sha256:2");
    assert_int_equal(fake.joins, 0);
    finish(jobs);
}

static void jobs_of_an_older_configuration_are_not_joined(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b, c;
    ask(jobs, &a, "alpine");
    wait_on(&fake.begun); /* under the first; not resolved */
    fake.generation = 2;
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    let_go(fake.resolve);
    wait_on(&fake.going);
    wait_on(&fake.going);
    ask(jobs, &c, "alpine"); /* goes over to the second */
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.over);
    assert_int_equal(fake.joins, 1);
    let_go(fake.finish);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    hear(&b, SLUICE_OK);
    hear(&c, SLUICE_OK);
    finish(jobs);
    assert_int_equal(fake.jobs_counted, 2);
}

/* The tag was moved while room was made, and somebody pulls what it means now. */
static void jobs_that_have_merged_are_not_merged_into(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b, c;
    ask_and_resolve(jobs, &a, "alpine");
    fake.result = SLUICE_E_SYSTEM;
    fake.errnum = ENOSPC;
    let_go(fake.finish);
    wait_on(&fake.full);
    fake.result = SLUICE_OK;
    strcpy(fake.manifest, "sha256:2");
    ask_and_resolve(jobs, &b, "alpine");
    fake.lingers = true;
    sem_post(&fake.room);
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.merged);
    ask(jobs, &c, "alpine"); /* while the first is on its way out */
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.over); /* of the first try */
    wait_on(&fake.over); /* of c's own pull */
    sem_post(&fake.leave);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    hear(&b, SLUICE_OK);
    hear(&c, SLUICE_OK);
    assert_string_equal(a.manifest, "sha256:2");
    finish(jobs);
}

/* ---- turns ---- */

static void jobs_over_the_limit_wait_in_order(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(1);
    struct caller c[3];
    struct sl_job_info *infos = NULL;
    size_t n = 0;
    ask(jobs, &c[0], "one");
    ask(jobs, &c[1], "two");
    ask(jobs, &c[2], "three");
    wait_on(&fake.begun);
    assert_int_equal(sl_jobs_list(jobs, &infos, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_string_equal(infos[0].state, "resolving");
    assert_string_equal(infos[1].state, "waiting");
    assert_string_equal(infos[2].image, "three");
    assert_int_equal(infos[2].waiters, 1);
    sl_job_infos_free(infos, n);
    assert_int_equal(fake.n_begun, 1);
    for (int i = 0; i < 3; i++) {
        let_go(fake.resolve);
        let_go(fake.finish);
        hear(&c[i], SLUICE_OK);
    }
    assert_string_equal(fake.order[1], "two");
    assert_string_equal(fake.order[2], "three");
    finish(jobs);
}

/* ---- leaving ---- */

static void jobs_nobody_waits_for_are_cancelled(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a;
    ask_and_resolve(jobs, &a, "alpine");
    sl_jobs_leave(jobs, a.waiter);
    wait_on(&fake.over);
    sl_jobs_leave(jobs, a.waiter); /* too late, and no harm */
    hear(&a, SLUICE_E_CANCELLED);
    assert_int_equal(fake.n_cancelled, 1);
    finish(jobs);
}

static void jobs_somebody_waits_for_go_on(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask(jobs, &a, "alpine");
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    sl_jobs_leave(jobs, a.waiter);
    hear(&a, SLUICE_E_CANCELLED);
    let_go(fake.resolve);
    let_go(fake.finish);
    hear(&b, SLUICE_OK);
    assert_int_equal(fake.n_cancelled, 0);
    finish(jobs);
}

/* Whoever asks while the first gives up still finds what was fetched. */
static void jobs_that_were_left_wait_for_those_who_may_join(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b, c;
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    sl_jobs_leave(jobs, a.waiter);
    hear(&a, SLUICE_E_CANCELLED);
    let_go(fake.resolve);
    wait_on(&fake.over); /* goes over */
    assert_int_equal(fake.joins, 1);
    let_go(fake.finish);
    hear(&b, SLUICE_OK);
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &c, "alpine");
    wait_on(&fake.begun);
    sl_jobs_leave(jobs, a.waiter);
    sl_jobs_leave(jobs, c.waiter);
    hear(&a, SLUICE_E_CANCELLED);
    hear(&c, SLUICE_E_CANCELLED);
    finish(jobs); /* both were cancelled, or this hangs */
}

/* Only the same name under the same configuration may yet join, and only if somebody asks for it.
 */
static void jobs_that_were_left_do_not_wait_for_others(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b, c;
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &b, "busybox");
    wait_on(&fake.begun);
    fake.generation = 2;
    ask(jobs, &c, "alpine");
    wait_on(&fake.begun);
    sl_jobs_leave(jobs, a.waiter);
    hear(&a, SLUICE_E_CANCELLED);
    wait_on(&fake.over);
    assert_int_equal(fake.n_cancelled, 1);
    let_go(fake.resolve);
    let_go(fake.resolve);
    let_go(fake.finish);
    let_go(fake.finish);
    hear(&b, SLUICE_OK);
    hear(&c, SLUICE_OK);
    finish(jobs);
}

static void jobs_that_were_left_before_their_turn_never_begin(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(1);
    struct caller a, b;
    ask(jobs, &a, "one");
    ask(jobs, &b, "two");
    sl_jobs_leave(jobs, b.waiter);
    hear(&b, SLUICE_E_CANCELLED);
    let_go(fake.resolve);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    finish(jobs);
    assert_int_equal(fake.n_begun, 1);
}

/* What was cancelled may take its time to end. */
static void jobs_that_were_left_are_not_joined(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b, c;
    fake.is_deaf = true;
    ask(jobs, &a, "alpine");
    wait_on(&fake.begun);
    sl_jobs_leave(jobs, a.waiter);
    hear(&a, SLUICE_E_CANCELLED);
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    let_go(fake.resolve);
    wait_on(&fake.going); /* b; a goes over, or on: nobody cares */
    sl_jobs_leave(jobs, b.waiter);
    hear(&b, SLUICE_E_CANCELLED);
    ask(jobs, &c, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.going);
    for (int i = 0; i < 3; i++)
        let_go(fake.finish);
    hear(&c, SLUICE_OK);
    assert_int_equal(fake.joins, 0);
    finish(jobs);
}

static void jobs_take_a_configuration_as_new_as_was_asked_for(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a;
    fake.generation = 5;
    fake.stale_holds = 2;
    ask(jobs, &a, "alpine");
    let_go(fake.resolve);
    let_go(fake.finish);
    hear(&a, SLUICE_OK);
    assert_int_equal(fake.n_holds, 3);
    finish(jobs);
}

/* ---- failing ---- */

static void jobs_late_waiter_tries_again_when_the_network_failed(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.over);
    fake.result = SLUICE_E_NETWORK;
    let_go(fake.finish);
    hear(&a, SLUICE_E_NETWORK);
    wait_on(&fake.begun); /* for b alone */
    fake.result = SLUICE_OK;
    let_go(fake.resolve);
    let_go(fake.finish);
    hear(&b, SLUICE_OK);
    finish(jobs);
    assert_int_equal(fake.n_begun, 3);
}

static void jobs_other_failure_is_told_to_all(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(4);
    struct caller a, b;
    ask_and_resolve(jobs, &a, "alpine");
    ask(jobs, &b, "alpine");
    wait_on(&fake.begun);
    let_go(fake.resolve);
    wait_on(&fake.over);
    fake.result = SLUICE_E_POLICY;
    let_go(fake.finish);
    hear(&a, SLUICE_E_POLICY);
    hear(&b, SLUICE_E_POLICY);
    finish(jobs);
    assert_int_equal(fake.n_begun, 2);
}

static void jobs_bad_name_fails_with_format(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(1);
    struct sl_job_waiter *waiter = NULL;
    struct sl_error err = {0};
    assert_int_equal(sl_jobs_pull(jobs, "UPPER CASE", on_done, NULL, &waiter, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
    assert_null(waiter);
    finish(jobs);
}

/* ---- ending ---- */

static void jobs_are_cancelled_by_id_and_by_name(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(2);
    struct caller c[3];
    ask(jobs, &c[0], "one");
    ask(jobs, &c[1], "two");
    ask(jobs, &c[2], "three"); /* has no thread */
    wait_on(&fake.begun);
    wait_on(&fake.begun);
    assert_int_equal(sl_jobs_cancel(jobs, "four"), 0);
    assert_int_equal(sl_jobs_cancel(jobs, "1"), 1);
    hear(&c[0], SLUICE_E_CANCELLED);
    wait_on(&fake.begun); /* three has its turn */
    assert_int_equal(sl_jobs_cancel(jobs, "docker.io/library/three"), 1);
    assert_int_equal(sl_jobs_cancel(jobs, "two"), 1);
    hear(&c[1], SLUICE_E_CANCELLED);
    hear(&c[2], SLUICE_E_CANCELLED);
    assert_int_equal(c[2].errnum, ECANCELED);
    finish(jobs);
}

static void jobs_drained_at_once_are_told_of_the_shutdown(void **state)
{
    (void)state;
    struct sl_jobs *jobs = begin(1);
    struct caller a, b;
    struct sl_job_waiter *waiter = NULL;
    struct sl_error err = {0};
    ask_and_resolve(jobs, &a, "one");
    ask(jobs, &b, "two");
    sl_jobs_drain(jobs, /* seconds= */ 0);
    hear(&a, SLUICE_E_CANCELLED);
    hear(&b, SLUICE_E_CANCELLED);
    assert_int_equal(a.errnum, ESHUTDOWN);
    assert_int_equal(b.errnum, ESHUTDOWN);
    assert_int_equal(sl_jobs_pull(jobs, "one", on_done, NULL, &waiter, &err), -ESHUTDOWN);
    finish(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_same_name_before_it_is_resolved_joins),
        cmocka_unit_test(jobs_same_manifest_after_it_is_resolved_merges),
        cmocka_unit_test(jobs_other_manifest_is_pulled_beside),
        cmocka_unit_test(jobs_of_an_older_configuration_are_not_joined),
        cmocka_unit_test(jobs_that_have_merged_are_not_merged_into),
        cmocka_unit_test(jobs_over_the_limit_wait_in_order),
        cmocka_unit_test(jobs_nobody_waits_for_are_cancelled),
        cmocka_unit_test(jobs_somebody_waits_for_go_on),
        cmocka_unit_test(jobs_that_were_left_wait_for_those_who_may_join),
        cmocka_unit_test(jobs_that_were_left_do_not_wait_for_others),
        cmocka_unit_test(jobs_that_were_left_before_their_turn_never_begin),
        cmocka_unit_test(jobs_that_were_left_are_not_joined),
        cmocka_unit_test(jobs_take_a_configuration_as_new_as_was_asked_for),
        cmocka_unit_test(jobs_late_waiter_tries_again_when_the_network_failed),
        cmocka_unit_test(jobs_other_failure_is_told_to_all),
        cmocka_unit_test(jobs_bad_name_fails_with_format),
        cmocka_unit_test(jobs_are_cancelled_by_id_and_by_name),
        cmocka_unit_test(jobs_drained_at_once_are_told_of_the_shutdown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
