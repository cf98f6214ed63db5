/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job:
 *
 *     waiting ──► resolving ──► pulling ──► over: its waiters hear
 *     (no thread)     └────► merged: its waiters have gone to the job that pulls the same
 *
 * A waiter that went over to a pull which had begun before it asked is not punished for what
 * happened before: when that pull fails for the network, it gets a job of its own, once.
 */
#include "jobs.h"

#include "crew.h"
#include "job_progress.h"
#include "sluice/api_error.h"
#include "sluice/core/clock.h"
#include "sluice/core/log.h"
#include "sluice/image_source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    PULLS_DEFAULT = 4,
    JOBS_MAX = 1024,            /* that run or wait; the server has no more calls in flight */
    THREADS_MAX = 64,           /* pulls at once, whatever was configured */
    CREW_MAX = 2 * THREADS_MAX, /* also those that are on their way out */
};

enum job_state {
    JOB_WAITING,   /* for its turn; has no thread */
    JOB_RESOLVING, /* asks what its name means; also opens the engine */
    JOB_PULLING,   /* known by (name, manifest, generation) */
};
static const char *const state_names[] = {"waiting", "resolving", "pulling"};

struct sl_job_waiter {
    struct sl_job_waiter *next;
    struct job *job; /* NULL: it hears, or has heard */
    sl_job_done_fn *done;
    void *arg;
    char *image;         /* as written */
    char *asked;         /* its canonical name */
    uint64_t generation; /* the configuration it wants, or a later one */
    bool is_late;        /* joined a pull that had begun before it asked */
    bool was_retried;
};

struct job {
    struct job *next;
    struct sl_jobs *jobs;
    uint64_t id;
    char *image, *asked;   /* of its first waiter */
    char *name, *manifest; /* what it resolved to; NULL until then */
    uint64_t generation;   /* 0: not known yet */
    enum job_state state;
    struct sl_job_waiter *waiters; /* in the order they came */
    int cancel_fd;
    int cancel_errnum; /* 0: not cancelled */
    bool is_merged;
    int64_t begun_ms;
    struct sl_job_progress progress;
    struct sl_job_log log; /* its thread's */
};

struct sl_jobs {
    struct sl_jobs_options options;
    struct sl_crew *crew;
    pthread_mutex_t lock;   /* guards all below, and the jobs but for what is their threads' */
    pthread_cond_t changed; /* a job is over */
    struct job *list;       /* in the order they came */
    unsigned n, n_running;
    uint64_t last_id;
    bool is_draining;
};

/* ---- waiters ---- */

struct sl_job_waiter *sl_job_waiter_free(struct sl_job_waiter *w)
{
    if (!w)
        return NULL;
    free(w->image);
    free(w->asked);
    free(w);
    return NULL;
}
SL_DEFINE_AUTO(sl_job_waiter, sl_job_waiter_free)

static void append(struct sl_job_waiter **list, struct sl_job_waiter *w)
{
    while (*list)
        list = &(*list)->next;
    w->next = NULL;
    *list = w;
}

static void remove_waiter(struct sl_job_waiter **list, const struct sl_job_waiter *w)
{
    while (*list != w)
        list = &(*list)->next;
    *list = w->next;
}

static void join(struct job *job, struct sl_job_waiter *w)
{
    w->job = job;
    append(&job->waiters, w);
}

/* From now on they hear of it elsewhere. Locked. */
static struct sl_job_waiter *take_waiters(struct job *job)
{
    struct sl_job_waiter *all = job->waiters;
    job->waiters = NULL;
    for (struct sl_job_waiter *w = all; w; w = w->next)
        w->job = NULL;
    return all;
}

/* Not locked. A waiter may be gone once it has heard. */
static void tell(struct sl_job_waiter *all, const struct sluice_pull_report *report,
                 const struct sluice_error *err)
{
    for (struct sl_job_waiter *w = all, *next; w; w = next) {
        next = w->next;
        w->done(w->arg, report, err);
    }
}

static struct sluice_error cancelled_error(int errnum)
{
    struct sl_error err = {0};
    (void)sl_error_set(&err, SL_E_CANCELLED, errnum,
                       errnum == ESHUTDOWN ? "the service is shutting down"
                                           : "the pull was cancelled");
    return sl_error_to_api(&err);
}

/* ---- the list; all locked ---- */

static struct job *job_free(struct job *job)
{
    if (!job)
        return NULL;
    sl_cleanup_fdp(&job->cancel_fd);
    free(job->image);
    free(job->asked);
    free(job->name);
    free(job->manifest);
    free(job);
    return NULL;
}
SL_DEFINE_AUTO(job, job_free)

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

static void unlist(struct sl_jobs *jobs, const struct job *job)
{
    struct job **at = &jobs->list;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    jobs->n--;
    pthread_cond_broadcast(&jobs->changed);
}

static void run(void *arg);

/* Gives the job a thread. */
static int start(struct sl_jobs *jobs, struct job *job, struct sl_error *err)
{
    int r = sl_crew_run(jobs->crew, run, job, err);
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
    join(sl_steal(&job), w);
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

/* 1 when it joined. */
static int attach(struct sl_jobs *jobs, struct sl_job_waiter *w, struct sl_error *err)
{
    struct job *job = find_unresolved(jobs, w);
    if (!job)
        return add_job(jobs, w, err);
    join(job, w);
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

/* One that has no thread is over at once: its waiters, to be told, are *ret's. */
static void cancel_or_drop(struct sl_jobs *jobs, struct job *job, int errnum,
                           struct sl_job_waiter **ret)
{
    cancel(job, errnum);
    if (job->state != JOB_WAITING)
        return;
    while (*ret)
        ret = &(*ret)->next;
    *ret = take_waiters(job);
    unlist(jobs, job);
    (void)job_free(job);
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

/* Jobs that nobody waits for, or may come to wait for. */
static void cancel_orphans(struct sl_jobs *jobs)
{
    struct sl_job_waiter *nobody = NULL;
    for (struct job *job = jobs->list, *next; job; job = next) {
        next = job->next;
        if (!job->waiters && !job->is_merged && !job->cancel_errnum && !is_expected(jobs, job))
            cancel_or_drop(jobs, job, ECANCELED, &nobody);
    }
}

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
            : attach(jobs, w, err);
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
        remove_waiter(&job->waiters, w);
        w->job = NULL;
        w->next = NULL;
        cancel_orphans(jobs);
    }
    pthread_mutex_unlock(&jobs->lock);
    if (!job)
        return;
    struct sluice_error err = cancelled_error(ECANCELED);
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
        if (o != job && o->state == JOB_PULLING && o->name && !o->cancel_errnum &&
            o->generation == job->generation && strcmp(o->name, job->name) == 0 &&
            strcmp(o->manifest, job->manifest) == 0)
            return o;
    return NULL;
}

/* Locked. How many went over. */
static unsigned merge(struct job *job, struct job *twin)
{
    unsigned n = 0;
    struct sl_job_waiter *all = take_waiters(job);
    for (struct sl_job_waiter *w = all, *next; w; w = next, n++) {
        next = w->next;
        w->is_late = true;
        join(twin, w);
    }
    job->is_merged = true;
    return n;
}

static int on_resolved(void *arg, const char *name, const char *manifest)
{
    struct job *job = arg;
    struct sl_jobs *jobs = job->jobs;
    SL_AUTO_FREE char *own_name = strdup(name);
    SL_AUTO_FREE char *own_manifest = strdup(manifest);
    unsigned n_moved = 0;
    pthread_mutex_lock(&jobs->lock);
    struct job *twin = NULL;
    if (own_name && own_manifest) { /* a job that nobody can join works as well */
        job->name = sl_steal(&own_name);
        job->manifest = sl_steal(&own_manifest);
        twin = find_twin(job);
    }
    if (twin)
        n_moved = merge(job, twin);
    else
        job->state = JOB_PULLING;
    uint64_t twin_id = twin ? twin->id : 0;
    cancel_orphans(jobs);
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

/* Locked. Those of all who may try again have a job of their own then. */
static struct sl_job_waiter *retry_late(struct sl_jobs *jobs, struct sl_job_waiter *all)
{
    struct sl_job_waiter *told = NULL;
    for (struct sl_job_waiter *w = all, *next; w; w = next) {
        next = w->next;
        bool may_retry = w->is_late && !w->was_retried && !jobs->is_draining;
        w->was_retried = true;
        w->is_late = false;
        if (!may_retry || attach(jobs, w, /* err= */ NULL) < 0)
            append(&told, w);
    }
    return told;
}

static void end(struct job *job, const struct sluice_pull_report *report, struct sluice_error *err)
{
    struct sl_jobs *jobs = job->jobs;
    const struct sluice_error *told_err = report ? NULL : err;
    pthread_mutex_lock(&jobs->lock);
    if (!report && job->cancel_errnum && err->code == SLUICE_E_CANCELLED)
        *err = cancelled_error(job->cancel_errnum);
    struct sl_job_waiter *told = take_waiters(job);
    unlist(jobs, job);
    if (!report && !job->cancel_errnum && err->code == SLUICE_E_NETWORK)
        told = retry_late(jobs, told);
    cancel_orphans(jobs);
    pthread_mutex_unlock(&jobs->lock);
    if (!job->is_merged)
        sl_metrics_count_job(jobs->options.metrics, report, told_err);
    tell(told, report, told_err);
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
    else if (pull(job, generation, &report, &err) < 0)
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
        (void)job_free(job);
        job = take_next(jobs);
    }
}

/* ---- looking at them and ending them ---- */

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
        cancel_or_drop(jobs, job, errnum, &told);
        n++;
    }
    pthread_mutex_unlock(&jobs->lock);
    struct sluice_error err = cancelled_error(errnum);
    tell(told, /* report= */ NULL, &err);
    return n;
}

unsigned sl_jobs_cancel(struct sl_jobs *jobs, const char *id_or_image)
{
    SL_AUTO_FREE char *canonical = sl_image_canonical_name(id_or_image);
    return cancel_all(jobs, id_or_image, canonical, ECANCELED);
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
    (void)cancel_all(jobs, /* text= */ NULL, /* canonical= */ NULL, ESHUTDOWN);
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
