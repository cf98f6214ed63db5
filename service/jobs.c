/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job:
 *
 *     waiting ──► resolving ──► pulling ──► over: its waiters hear
 *     (no thread)     └────► merged: its waiters have gone to the job that pulls the same
 *
 * A waiter that went over to a pull which had begun before it asked is not punished for what
 * happened before: when that pull fails for the network, it gets a job of its own, once.
 *
 * A pull that finds the store full makes room, and tries again. What a job brings is claimed from
 * when it is known until the last waiter is freed, who has mounted it by then.
 */
#include "jobs.h"

#include "job_list.h"
#include "make_room.h"
#include "sluice/api_error.h"
#include "sluice/core/clock.h"
#include "sluice/core/log.h"
#include "sluice/image_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PULLS_DEFAULT = 4,
    THREADS_MAX = 64,           /* pulls at once, whatever was configured */
    CREW_MAX = 2 * THREADS_MAX, /* also those that are on their way out */
    EXPANSION = 3,              /* what blobs unpack to, mostly less */
    ROOM_TRIES = 2,             /* of a pull: for as much as it may need, for all that there is */
};

/* ---- asking ---- */

/* The transport, which every reference has here, is left out for people. */
static const char *plain(const char *image)
{
    static const char scheme[] = "docker://";
    return strncmp(image, scheme, strlen(scheme)) == 0 ? image + strlen(scheme) : image;
}

static void log_join(const char *image, uint64_t id)
{
    const struct sl_log_about about = {.job = id, .image = plain(image)};
    sl_log_of(SL_LOG_INFO, &about, "joins a pull that is on its way");
}

static int waiter_new(struct sl_jobs *jobs, const char *image, struct sl_job_waiter **ret,
                      struct sl_error *err)
{
    SL_AUTO(sl_job_waiter) w = calloc(1, sizeof(*w));
    if (!w)
        return sl_error_oom(err);
    w->asked = sl_image_canonical_name(image);
    if (!w->asked)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.300s' is no name of an image", image);
    w->image = strdup(image);
    if (!w->image)
        return sl_error_oom(err);
    w->generation = sl_backend_number(jobs->options.backend);
    *ret = sl_steal(&w);
    return 0;
}

int sl_jobs_pull(struct sl_jobs *jobs, const char *image, sl_job_done_fn *done, void *arg,
                 struct sl_job_waiter **ret, struct sl_error *err)
{
    SL_AUTO(sl_job_waiter) w = NULL;
    int r = waiter_new(jobs, image, &w, err);
    if (r < 0)
        return r;
    w->done = done;
    w->arg = arg;
    pthread_mutex_lock(&jobs->lock);
    r = jobs->is_draining
            ? sl_error_set(err, SL_E_CANCELLED, ESHUTDOWN, "the service is shutting down")
            : sl_jobs_attach(jobs, w, err);
    uint64_t joined = r > 0 ? w->job->id : 0;
    if (r >= 0)
        *ret = sl_steal(&w);
    pthread_mutex_unlock(&jobs->lock);
    if (joined) {
        sl_metrics_count_join(jobs->options.metrics);
        log_join(image, joined);
    }
    return r < 0 ? r : 0;
}

void sl_jobs_leave(struct sl_jobs *jobs, struct sl_job_waiter *w)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = w->job;
    if (job) {
        sl_job_leave(w);
        sl_jobs_cancel_orphans(jobs);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!job)
        return;
    struct sluice_error err = sl_job_cancelled_error(ECANCELED);
    w->done(w->arg, /* report= */ NULL, &err);
}

/* ---- a job's thread ---- */

static void on_progress(void *arg, const struct sluice_pull_report *report)
{
    struct job *job = arg;
    struct sl_job_progress progress = sl_job_progress_of(report);
    pthread_mutex_lock(&job->jobs->lock);
    job->progress = progress;
    pthread_mutex_unlock(&job->jobs->lock);
    sl_job_log_progress(&job->log, &progress);
}

static struct job *find_twin(const struct job *job)
{
    for (struct job *o = job->jobs->list; o; o = o->next)
        if (o != job && o->state == JOB_PULLING && o->name && !o->cancel_errnum && !o->is_merged &&
            o->generation == job->generation && strcmp(o->name, job->name) == 0 &&
            strcmp(o->manifest, job->manifest) == 0)
            return o;
    return NULL;
}

/* Locked. How many went over. */
static unsigned merge(struct job *job, struct job *twin)
{
    unsigned n = 0;
    struct sl_job_waiter *all = sl_job_take_waiters(job);
    for (struct sl_job_waiter *w = all, *next; w; w = next, n++) {
        next = w->next;
        w->is_late = true;
        sl_job_join(twin, w);
    }
    job->is_merged = true;
    return n;
}

/* Without memory for it the image may go before it is mounted: the request fails then. */
static void claim(struct job *job, const char *manifest)
{
    job->claim = sl_image_claim_drop(job->claim);
    (void)!sl_image_claim_take(job->jobs->options.claims, manifest, &job->claim, /* err= */ NULL);
}

static int on_resolved(void *arg, const char *name, const char *manifest)
{
    struct job *job = arg;
    struct sl_jobs *jobs = job->jobs;
    SL_AUTO_FREE char *own_name = strdup(name);
    SL_AUTO_FREE char *own_manifest = strdup(manifest);
    unsigned n_moved = 0;
    claim(job, manifest);
    pthread_mutex_lock(&jobs->lock);
    struct job *twin = NULL;
    if (own_name && own_manifest) { /* a job that nobody can join works as well */
        free(job->name);            /* of the try before, when there was no room */
        free(job->manifest);
        job->name = sl_steal(&own_name);
        job->manifest = sl_steal(&own_manifest);
        twin = find_twin(job);
    }
    if (twin)
        n_moved = merge(job, twin);
    else
        job->state = JOB_PULLING;
    uint64_t twin_id = twin ? twin->id : 0;
    sl_jobs_cancel_orphans(jobs);
    pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < n_moved; i++) {
        sl_metrics_count_join(jobs->options.metrics);
        log_join(job->image, twin_id);
    }
    return twin_id != 0;
}

/* False when a waiter wants a newer configuration. */
static bool accept_generation(struct job *job, uint64_t number)
{
    bool is_new_enough = true;
    pthread_mutex_lock(&job->jobs->lock);
    for (const struct sl_job_waiter *w = job->waiters; w; w = w->next)
        is_new_enough &= number >= w->generation;
    if (is_new_enough)
        job->generation = number;
    pthread_mutex_unlock(&job->jobs->lock);
    return is_new_enough;
}

/* The configuration may have been replaced while the engine was opened; not for ever, since each
 * try takes the newest. */
static int hold(struct job *job, struct sl_generation **ret, struct sl_error *err)
{
    struct sl_backend *backend = job->jobs->options.backend;
    for (;;) {
        struct sl_generation *generation = NULL;
        int r = sl_backend_hold(backend, &generation, err);
        if (r < 0)
            return r;
        if (accept_generation(job, generation->number)) {
            *ret = generation;
            return 0;
        }
        sl_backend_release(backend, generation);
    }
}

static int pull(struct job *job, const struct sl_generation *generation,
                struct sluice_pull_report **ret, struct sluice_error *err)
{
    struct sluice_pull_options options = generation->pull;
    options.image = job->image;
    options.bundle = NULL;
    options.cancel_fd = job->cancel_fd;
    options.progress = on_progress;
    options.resolved = on_resolved;
    options.arg = job;
    return sluice_pull(generation->sluice, &options, ret, err);
}

static bool is_full(const struct sluice_error *err)
{
    return err->errnum == ENOSPC || err->errnum == EDQUOT;
}

static bool make_room(struct job *job, const struct sl_generation *generation, unsigned tries,
                      const struct sluice_error *err)
{
    const struct sl_log_about about = {
        .job = job->id, .image = job->log.image, .code = sluice_code_name(err->code)};
    uint64_t missing = job->progress.missing; /* written by this thread */
    uint64_t wanted = missing > UINT64_MAX / EXPANSION ? UINT64_MAX : missing * EXPANSION;
    if (job->is_merged || !is_full(err) || tries == ROOM_TRIES || !generation->config->evict)
        return false;
    sl_log_of(SL_LOG_WARN, &about, "looking for images that nothing uses, since %s", err->message);
    return sl_make_room(generation->sluice, job->jobs->options.claims, missing,
                        tries > 0 ? UINT64_MAX : wanted);
}

static int pull_with_room(struct job *job, const struct sl_generation *generation,
                          struct sluice_pull_report **ret, struct sluice_error *err)
{
    int r = pull(job, generation, ret, err);
    for (unsigned tries = 0; r < 0 && make_room(job, generation, tries, err); tries++)
        r = pull(job, generation, ret, err);
    return r;
}

/* Locked. Those of all who may try again have a job of their own then. */
static struct sl_job_waiter *retry_late(struct sl_jobs *jobs, struct sl_job_waiter *all)
{
    struct sl_job_waiter *told = NULL;
    for (struct sl_job_waiter *w = all, *next; w; w = next) {
        next = w->next;
        bool may_retry = w->is_late && !w->was_retried && !jobs->is_draining;
        w->was_retried = true;
        w->is_late = false;
        if (!may_retry || sl_jobs_attach(jobs, w, /* err= */ NULL) < 0)
            sl_waiters_append(&told, w);
    }
    return told;
}

static void end(struct job *job, const struct sluice_pull_report *report, struct sluice_error *err)
{
    struct sl_jobs *jobs = job->jobs;
    const struct sluice_error *told_err = report ? NULL : err;
    pthread_mutex_lock(&jobs->lock);
    if (!report && job->cancel_errnum && err->code == SLUICE_E_CANCELLED)
        *err = sl_job_cancelled_error(job->cancel_errnum);
    struct sl_job_waiter *told = sl_job_take_waiters(job);
    for (struct sl_job_waiter *w = told; w && report; w = w->next)
        w->claim = sl_image_claim_share(job->claim);
    sl_job_unlist(jobs, job);
    if (!report && !job->cancel_errnum && err->code == SLUICE_E_NETWORK)
        told = retry_late(jobs, told);
    sl_jobs_cancel_orphans(jobs);
    pthread_mutex_unlock(&jobs->lock);
    if (!job->is_merged)
        sl_metrics_count_job(jobs->options.metrics, report, told_err);
    sl_waiters_tell(told, report, told_err);
}

static void run_job(struct job *job)
{
    struct sl_jobs *jobs = job->jobs;
    struct sl_generation *generation = NULL;
    struct sluice_pull_report *report = NULL;
    struct sl_error hold_err = {0};
    struct sluice_error err = {0};
    job->log = (struct sl_job_log){.id = job->id,
                                   .image = plain(job->image),
                                   .interval_s = jobs->options.progress_s,
                                   .told_ms = sl_clock_ms()};
    if (hold(job, &generation, &hold_err) < 0)
        err = sl_error_to_api(&hold_err);
    else if (pull_with_room(job, generation, &report, &err) < 0)
        report = NULL;
    end(job, report, &err);
    (void)sluice_pull_report_free(report);
    sl_backend_release(jobs->options.backend, generation);
}

/* The thread's next job, or NULL: it goes. */
static struct job *take_next(struct sl_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = jobs->list;
    while (job && job->state != JOB_WAITING)
        job = job->next;
    if (job)
        job->state = JOB_RESOLVING;
    else
        jobs->n_running--;
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void run(void *arg)
{
    for (struct job *job = arg; job;) {
        struct sl_jobs *jobs = job->jobs;
        run_job(job);
        (void)sl_job_free(job);
        job = take_next(jobs);
    }
}

/* ---- looking at them and ending them ---- */

static const char *const state_names[] = {"waiting", "resolving", "pulling"};

static int describe(const struct job *job, struct sl_job_info *ret)
{
    *ret = (struct sl_job_info){.id = job->id,
                                .image = strdup(plain(job->image)),
                                .manifest = strdup(job->manifest ? job->manifest : ""),
                                .state = state_names[job->state],
                                .n_layers = job->progress.n_layers,
                                .layers_done = job->progress.layers_done,
                                .bytes = job->progress.bytes,
                                .received = job->progress.received,
                                .seconds = (double)(sl_clock_ms() - job->begun_ms) / 1000};
    for (const struct sl_job_waiter *w = job->waiters; w; w = w->next)
        ret->waiters++;
    return ret->image && ret->manifest ? 0 : -ENOMEM;
}

int sl_jobs_list(struct sl_jobs *jobs, struct sl_job_info **ret, size_t *ret_n,
                 struct sl_error *err)
{
    int r = 0;
    size_t n = 0;
    pthread_mutex_lock(&jobs->lock);
    struct sl_job_info *infos = calloc(jobs->n + 1, sizeof(*infos));
    for (const struct job *job = jobs->list; job && infos && r == 0; job = job->next)
        r = describe(job, &infos[n++]);
    pthread_mutex_unlock(&jobs->lock);
    if (!infos || r < 0) {
        sl_job_infos_free(infos, n);
        return sl_error_oom(err);
    }
    *ret = infos;
    *ret_n = n;
    return 0;
}

void sl_job_infos_free(struct sl_job_info *infos, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(infos[i].image);
        free(infos[i].manifest);
    }
    free(infos);
}

static bool is_meant(const struct job *job, const char *text, const char *canonical)
{
    char id[32];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)job->id);
    return strcmp(text, id) == 0 || strcmp(text, plain(job->image)) == 0 ||
           (canonical && strcmp(canonical, job->asked) == 0);
}

/* Of those that are meant; text NULL: all. */
static unsigned cancel_all(struct sl_jobs *jobs, const char *text, const char *canonical,
                           int errnum)
{
    unsigned n = 0;
    struct sl_job_waiter *told = NULL;
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->list, *next; job; job = next) {
        next = job->next;
        if (job->cancel_errnum || (text && !is_meant(job, text, canonical)))
            continue;
        sl_job_cancel_or_drop(jobs, job, errnum, &told);
        n++;
    }
    pthread_mutex_unlock(&jobs->lock);
    struct sluice_error err = sl_job_cancelled_error(errnum);
    sl_waiters_tell(told, /* report= */ NULL, &err);
    return n;
}

unsigned sl_jobs_cancel(struct sl_jobs *jobs, const char *id_or_image)
{
    SL_AUTO_FREE char *canonical = sl_image_canonical_name(id_or_image);
    return cancel_all(jobs, id_or_image, canonical, ECANCELED);
}

void sl_jobs_hurry(struct sl_jobs *jobs)
{
    (void)cancel_all(jobs, /* text= */ NULL, /* canonical= */ NULL, ESHUTDOWN);
}

void sl_jobs_drain(struct sl_jobs *jobs, unsigned seconds)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&jobs->lock);
    jobs->is_draining = true;
    int r = seconds ? 0 : ETIMEDOUT;
    while (jobs->list && r == 0)
        r = pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until);
    pthread_mutex_unlock(&jobs->lock);
    sl_jobs_hurry(jobs); /* first, since it knows what to tell them */
    sl_backend_cancel(jobs->options.backend);
    pthread_mutex_lock(&jobs->lock);
    while (jobs->list)
        pthread_cond_wait(&jobs->changed, &jobs->lock);
    pthread_mutex_unlock(&jobs->lock);
}

bool sl_jobs_are_idle(struct sl_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    bool is_idle = !jobs->list;
    pthread_mutex_unlock(&jobs->lock);
    return is_idle;
}

/* ---- life ---- */

int sl_jobs_new(const struct sl_jobs_options *options, struct sl_jobs **ret, struct sl_error *err)
{
    struct sl_jobs *jobs = calloc(1, sizeof(*jobs));
    if (!jobs)
        return sl_error_oom(err);
    jobs->options = *options;
    jobs->run = run;
    if (!jobs->options.pulls)
        jobs->options.pulls = PULLS_DEFAULT;
    if (jobs->options.pulls > THREADS_MAX)
        jobs->options.pulls = THREADS_MAX;
    int r = sl_crew_new(CREW_MAX, &jobs->crew, err);
    if (r < 0) {
        free(jobs);
        return r;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&jobs->lock, NULL);
    *ret = jobs;
    return 0;
}

struct sl_jobs *sl_jobs_free(struct sl_jobs *jobs)
{
    if (!jobs)
        return NULL;
    (void)sl_crew_free(jobs->crew); /* threads of merged and cancelled jobs may be on their way */
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
    return NULL;
}
