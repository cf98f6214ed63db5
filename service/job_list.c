/* SPDX-License-Identifier: Apache-2.0 */
#include "job_list.h"

#include "sluice/api_error.h"
#include "sluice/core/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { JOBS_MAX = 1024 }; /* that run or wait; the server has no more calls in flight */

/* ---- waiters ---- */

struct sl_job_waiter *sl_job_waiter_free(struct sl_job_waiter *w)
{
    if (!w)
        return NULL;
    (void)sl_image_claim_drop(w->claim);
    free(w->image);
    free(w->asked);
    free(w);
    return NULL;
}

void sl_waiters_append(struct sl_job_waiter **list, struct sl_job_waiter *w)
{
    while (*list)
        list = &(*list)->next;
    w->next = NULL;
    *list = w;
}

void sl_job_join(struct job *job, struct sl_job_waiter *w)
{
    w->job = job;
    sl_waiters_append(&job->waiters, w);
}

void sl_job_leave(struct sl_job_waiter *w)
{
    struct sl_job_waiter **at = &w->job->waiters;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->job = NULL;
    w->next = NULL;
}

struct sl_job_waiter *sl_job_take_waiters(struct job *job)
{
    struct sl_job_waiter *all = job->waiters;
    job->waiters = NULL;
    for (struct sl_job_waiter *w = all; w; w = w->next)
        w->job = NULL;
    return all;
}

void sl_waiters_tell(struct sl_job_waiter *all, const struct sluice_pull_report *report,
                     const struct sluice_error *err)
{
    for (struct sl_job_waiter *w = all, *next; w; w = next) {
        next = w->next;
        w->done(w->arg, report, err);
    }
}

struct sluice_error sl_job_cancelled_error(int errnum)
{
    struct sl_error err = {0};
    (void)sl_error_set(&err, SL_E_CANCELLED, errnum,
                       errnum == ESHUTDOWN ? "the service is shutting down"
                                           : "the pull was cancelled");
    return sl_error_to_api(&err);
}

/* ---- the list ---- */

struct job *sl_job_free(struct job *job)
{
    if (!job)
        return NULL;
    sl_cleanup_fdp(&job->cancel_fd);
    (void)sl_image_claim_drop(job->claim);
    free(job->image);
    free(job->asked);
    free(job->name);
    free(job->manifest);
    free(job);
    return NULL;
}

SL_DEFINE_AUTO(job, sl_job_free)

static int job_new(struct sl_jobs *jobs, const struct sl_job_waiter *w, struct job **ret,
                   struct sl_error *err)
{
    struct job *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    alloc->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    SL_AUTO(job) job = alloc;
    if (job->cancel_fd < 0)
        return sl_error_system(err, errno, "eventfd");
    job->image = strdup(w->image);
    job->asked = strdup(w->asked);
    if (!job->image || !job->asked)
        return sl_error_oom(err);
    job->jobs = jobs;
    job->begun_ms = sl_clock_ms();
    *ret = sl_steal(&job);
    return 0;
}

void sl_job_unlist(struct sl_jobs *jobs, const struct job *job)
{
    struct job **at = &jobs->list;
    while (*at && *at != job)
        at = &(*at)->next;
    *at = job->next;
    jobs->n--;
    pthread_cond_broadcast(&jobs->changed);
}

/* Gives the job a thread. */
static int start(struct sl_jobs *jobs, struct job *job, struct sl_error *err)
{
    int r = sl_crew_run(jobs->crew, jobs->run, job, err);
    if (r < 0)
        return r;
    job->state = JOB_RESOLVING;
    jobs->n_running++;
    return 0;
}

static int add_job(struct sl_jobs *jobs, struct sl_job_waiter *w, struct sl_error *err)
{
    SL_AUTO(job) job = NULL;
    if (jobs->n >= JOBS_MAX)
        return sl_error_set(err, SL_E_LIMIT, EAGAIN, "%d pulls wait already; try again later",
                            JOBS_MAX);
    int r = job_new(jobs, w, &job, err);
    if (r < 0)
        return r;
    job->id = ++jobs->last_id;
    if (jobs->n_running < jobs->options.pulls)
        r = start(jobs, job, err);
    if (r < 0)
        return r;
    struct job **end = &jobs->list;
    while (*end)
        end = &(*end)->next;
    *end = job;
    jobs->n++;
    sl_job_join(sl_steal(&job), w);
    return 0;
}

/* A job whose name has yet to be resolved answers whoever asks for the name now. */
static struct job *find_unresolved(const struct sl_jobs *jobs, const struct sl_job_waiter *w)
{
    for (struct job *job = jobs->list; job; job = job->next)
        if (job->state != JOB_PULLING && !job->is_merged && !job->cancel_errnum &&
            (!job->generation || job->generation >= w->generation) &&
            strcmp(job->asked, w->asked) == 0)
            return job;
    return NULL;
}

int sl_jobs_attach(struct sl_jobs *jobs, struct sl_job_waiter *w, struct sl_error *err)
{
    struct job *job = find_unresolved(jobs, w);
    if (!job)
        return add_job(jobs, w, err);
    sl_job_join(job, w);
    return 1;
}

static void cancel(struct job *job, int errnum)
{
    const uint64_t one = 1;
    if (job->cancel_errnum)
        return;
    job->cancel_errnum = errnum;
    ssize_t n = write(job->cancel_fd, &one, sizeof(one)); /* cannot block: it happens once */
    (void)n;
}

void sl_job_cancel_or_drop(struct sl_jobs *jobs, struct job *job, int errnum,
                           struct sl_job_waiter **ret)
{
    cancel(job, errnum);
    if (job->state != JOB_WAITING)
        return;
    while (*ret)
        ret = &(*ret)->next;
    *ret = sl_job_take_waiters(job);
    sl_job_unlist(jobs, job);
    (void)sl_job_free(job);
}

/* A pull that nobody waits for any more may yet be what a job resolves to that is on its way. */
static bool is_expected(const struct sl_jobs *jobs, const struct job *job)
{
    for (const struct job *o = jobs->list; o && job->state == JOB_PULLING; o = o->next)
        if (o->state != JOB_PULLING && o->waiters && !o->cancel_errnum &&
            (!o->generation || o->generation == job->generation) &&
            strcmp(o->asked, job->asked) == 0)
            return true;
    return false;
}

void sl_jobs_cancel_orphans(struct sl_jobs *jobs)
{
    struct sl_job_waiter *nobody = NULL;
    for (struct job *job = jobs->list, *next; job; job = next) {
        next = job->next;
        if (!job->waiters && !job->is_merged && !job->cancel_errnum && !is_expected(jobs, job))
            sl_job_cancel_or_drop(jobs, job, ECANCELED, &nobody);
    }
}
