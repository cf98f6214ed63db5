/* SPDX-License-Identifier: Apache-2.0 */
/* Inside jobs: what a job and a waiter are, and the list of jobs. Everything here wants the lock
 * but what says that it does not. */
#pragma once

#include "crew.h"
#include "image_claims.h"
#include "job_progress.h"
#include "jobs.h"

#include <pthread.h>

enum job_state {
    JOB_WAITING,   /* for its turn; has no thread */
    JOB_RESOLVING, /* asks what its name means; also opens the engine */
    JOB_PULLING,   /* known by (name, manifest, generation) */
};

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
    struct sl_image_claim *claim; /* on what it was told of */
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
    struct sl_job_log log; /* its thread's, as the next */
    struct sl_image_claim *claim;
};

struct sl_jobs {
    struct sl_jobs_options options;
    struct sl_crew *crew;
    void (*run)(void *job); /* the life of a job's thread, which takes the job */
    pthread_mutex_t lock;   /* guards all below, and the jobs but for what is their threads' */
    pthread_cond_t changed; /* a job is over */
    struct job *list;       /* in the order they came */
    unsigned n, n_running;
    uint64_t last_id;
    bool is_draining;
};

SL_DEFINE_AUTO(sl_job_waiter, sl_job_waiter_free)

/* ---- waiters ---- */

void sl_waiters_append(struct sl_job_waiter **list, struct sl_job_waiter *w);
/* Each hears; not locked. A waiter may be gone once it has heard. */
void sl_waiters_tell(struct sl_job_waiter *all, const struct sluice_pull_report *report,
                     const struct sluice_error *err);
void sl_job_join(struct job *job, struct sl_job_waiter *w);
/* It waits for this job no more. */
void sl_job_leave(struct sl_job_waiter *w);
/* From now on they hear of it elsewhere. */
struct sl_job_waiter *sl_job_take_waiters(struct job *job);
/* What waiters of a job hear that was cancelled with this errnum. Not locked. */
struct sluice_error sl_job_cancelled_error(int errnum);

/* ---- the list ---- */

/* Of one that is not in the list. Not locked. */
struct job *sl_job_free(struct job *job);
/* Joins a job whose name is not resolved yet (1), or begins one (0), which has a thread when there
 * is room for it. SL_E_LIMIT: too many wait. */
SL_MUST_CHECK int sl_jobs_attach(struct sl_jobs *jobs, struct sl_job_waiter *w,
                                 struct sl_error *err);
void sl_job_unlist(struct sl_jobs *jobs, const struct job *job);
/* One that has no thread is over at once: its waiters, to be told, go to the end of *ret. */
void sl_job_cancel_or_drop(struct sl_jobs *jobs, struct job *job, int errnum,
                           struct sl_job_waiter **ret);
/* Cancels jobs that nobody waits for, or may come to wait for. */
void sl_jobs_cancel_orphans(struct sl_jobs *jobs);
