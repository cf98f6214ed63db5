/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls as jobs. A request either begins a job or joins the one that is on its way to the same
 * image: the same name, resolved to the same manifest, under the same configuration. A job ends
 * early only when nobody waits for it any more; layers it has finished stay for the next try.
 * Whoever waited mounts for himself.
 */
#pragma once

#include "backend.h"
#include "image_claims.h"
#include "metrics.h"

struct sl_jobs;
struct sl_jobs_options {
    struct sl_backend *backend; /* borrowed, as the next two */
    struct sl_metrics *metrics;
    struct sl_image_claims *claims;
    unsigned pulls;      /* jobs that run at once; the rest wait in order */
    unsigned progress_s; /* between two lines of the log about a job; 0: none */
};
SL_MUST_CHECK int sl_jobs_new(const struct sl_jobs_options *options, struct sl_jobs **ret,
                              struct sl_error *err);
/* Nobody waits any more, and all waiters are freed. */
struct sl_jobs *sl_jobs_free(struct sl_jobs *jobs);
SL_DEFINE_AUTO(sl_jobs, sl_jobs_free)

/* What a waiter hears, once, on the job's thread or that of whoever ends the wait; it must not
 * block and may not call jobs. report is borrowed, and NULL on failure. May come before
 * sl_jobs_pull() returns. */
typedef void sl_job_done_fn(void *arg, const struct sluice_pull_report *report,
                            const struct sluice_error *err);
struct sl_job_waiter;
/* The pull of image as the caller has written it. *ret, which is set before done() can come, stands
 * for the caller's interest. SL_E_FORMAT: image is no name of one; ESHUTDOWN: there will be no more
 * jobs. Does not block. */
SL_MUST_CHECK int sl_jobs_pull(struct sl_jobs *jobs, const char *image, sl_job_done_fn *done,
                               void *arg, struct sl_job_waiter **ret, struct sl_error *err);
/* The caller has no interest any more: done() comes from here, with SLUICE_E_CANCELLED, unless it
 * has come or is coming. Any thread, does not block. */
void sl_jobs_leave(struct sl_jobs *jobs, struct sl_job_waiter *waiter);
/* done() must have come, and nobody may be leaving. Until then the image it told of is not removed
 * for room: whoever mounts it frees the waiter afterwards. */
struct sl_job_waiter *sl_job_waiter_free(struct sl_job_waiter *waiter);

/* For people. Strings are copies. */
struct sl_job_info {
    uint64_t id;
    char *image, *manifest; /* as asked for; "" until it is resolved */
    const char *state;      /* "waiting", "resolving", "pulling" */
    unsigned waiters;
    size_t n_layers, layers_done;
    uint64_t bytes, received;
    double seconds;
};
SL_MUST_CHECK int sl_jobs_list(struct sl_jobs *jobs, struct sl_job_info **ret, size_t *ret_n,
                               struct sl_error *err);
void sl_job_infos_free(struct sl_job_info *infos, size_t n);
/* By id, or by image as it was asked for; how many were cancelled. */
unsigned sl_jobs_cancel(struct sl_jobs *jobs, const char *id_or_image);
/* No more jobs; what runs or waits may go on until the time is up (0: is cancelled now, and whoever
 * waited hears ESHUTDOWN), and the backend with it. Blocks until all is over. */
void sl_jobs_drain(struct sl_jobs *jobs, unsigned seconds);
/* A drain waits for nobody any more: whoever does is told that the service shuts down. Does not
 * block. Any thread. */
void sl_jobs_hurry(struct sl_jobs *jobs);
/* True while nothing runs or waits. */
bool sl_jobs_are_idle(struct sl_jobs *jobs);
