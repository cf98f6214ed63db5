/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request has a thread of its own, which mostly waits for its job:
 *
 *     message ─► bundle path ─► job ─► measurement ─► folders, mount ─► answer
 *                     └ "pause" ─► copy ───────────────────────────────────┘
 *
 * The measurement comes before the mount, so that nothing can run that was not measured.
 */
#include "pull_service.h"

#include "crew.h"
#include "measurement.h"
#include "pause_bundle.h"
#include "sluice/api_error.h"
#include "sluice/core/clock.h"
#include "sluice/core/log.h"
#include "status_text.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    REQUESTS_MAX = 512, /* at once */
    FOLDER_TRIES = 16,  /* to make a bundle's folder that others take away */
};

const char sl_pull_service_name[] = "api.ImagePullService";
static const char method[] = "PullImage";
const char *const sl_pull_service_methods[] = {method, NULL};

static const char pause_image[] = "pause";
static const char registry_scheme[] = "docker://";

struct sl_pull_service {
    struct sl_jobs *jobs;
    struct sl_backend *backend;
    struct sl_metrics *metrics;
    struct sl_crew *crew;
};

struct request {
    struct sl_pull_service *service;
    struct sl_rpc_call *call; /* NULL once answered */
    struct sl_pull_request message;
    int64_t begun_ms;
    enum sl_pull_step step; /* that is being done */
    /* Of the job. */
    struct sl_job_waiter *waiter;
    sem_t heard;
    int job_result; /* 0, or as errors are returned, with job_err */
    struct sluice_error job_err;
    char manifest[256]; /* "sha512:" and 128 digits fit; "": none */
};

static struct request *request_free(struct request *q)
{
    if (!q)
        return NULL;
    (void)sl_job_waiter_free(q->waiter);
    sl_pull_request_done(&q->message);
    (void)sem_destroy(&q->heard);
    free(q);
    return NULL;
}
SL_DEFINE_AUTO(request, request_free)

/* ---- the job ---- */

/* Has the type of sl_job_done_fn. The request's thread goes on from here. */
static void on_done(void *arg, const struct sluice_pull_report *report,
                    const struct sluice_error *err)
{
    struct request *q = arg;
    q->job_result = report ? 0 : -err->errnum;
    if (report)
        (void)snprintf(q->manifest, sizeof(q->manifest), "%s", report->manifest);
    else
        q->job_err = *err;
    (void)sem_post(&q->heard);
}

/* Nobody waits for the answer any more. */
static void on_abandoned(void *arg)
{
    struct request *q = arg;
    sl_jobs_leave(q->service->jobs, q->waiter);
}

static void wait_for_job(struct request *q)
{
    while (sem_wait(&q->heard) < 0)
        ; /* a signal's handler ran */
}

/* References of kata's are a registry's, also one that looks like another transport: "oci:v1" is
 * an image called oci. Nobody outside may have files of this machine read as an image. */
static char *registry_reference(const char *image)
{
    bool has_scheme = strncmp(image, registry_scheme, strlen(registry_scheme)) == 0;
    return has_scheme ? strdup(image) : sl_strf("%s%s", registry_scheme, image);
}

static int run_job(struct request *q, struct sl_error *err)
{
    SL_AUTO_FREE char *image = registry_reference(q->message.image_url);
    if (!image)
        return sl_error_oom(err);
    struct sl_error job_err = {0};
    int r = sl_jobs_pull(q->service->jobs, image, on_done, q, &q->waiter, &job_err);
    if (r < 0 && job_err.code == SL_E_FORMAT) {
        q->step = SL_STEP_REFERENCE;
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.300s' is no name of an image",
                            q->message.image_url);
    }
    if (r < 0)
        return sl_error_set(err, job_err.code, job_err.errnum, "%s", job_err.msg);
    sl_rpc_call_watch(q->call, on_abandoned, q);
    q->step = SL_STEP_PULL;
    wait_for_job(q);
    return sl_error_from_api(q->job_result, &q->job_err, err);
}

/* ---- the bundle ---- */

static bool is_removed(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_nlink == 0;
}

/* By what was checked and opened, whatever the path means by now. *ret_again: the folder has gone.
 */
static int mount_once(const struct request *q, struct sluice *sluice, struct sl_bundle_path *bundle,
                      bool *ret_again, struct sl_error *err)
{
    struct sluice_error mount_err = {0};
    char path[32];
    SL_AUTO_FD fd = -1;
    int r = sl_bundle_path_make(bundle, &fd, err);
    *ret_again = r == -ENOENT;
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    r = sluice_mount_bundle(sluice, q->manifest, path, &mount_err);
    if (r >= 0)
        return 0; /* also when it was mounted already */
    *ret_again = is_removed(fd);
    sl_bundle_path_undo(bundle);
    return sl_error_from_api(r, &mount_err, err);
}

/* Another request for the same folder, whose it was, may have failed and taken it away. */
static int mount(const struct request *q, struct sluice *sluice, struct sl_bundle_path *bundle,
                 struct sl_error *err)
{
    bool again = true;
    int r = 0;
    for (int i = 0; again && i < FOLDER_TRIES; i++) {
        *err = (struct sl_error){0};
        r = mount_once(q, sluice, bundle, &again, err);
    }
    return r;
}

static int finish(struct request *q, const struct sl_generation *generation,
                  struct sl_bundle_path *bundle, struct sl_error *err)
{
    q->step = SL_STEP_BUNDLE;
    int r = sl_measure_pull(generation->config->aa_socket, q->message.image_url, q->manifest, err);
    if (r < 0)
        return r;
    if (sl_rpc_call_is_abandoned(q->call))
        return sl_error_set(err, SL_E_CANCELLED, ECANCELED,
                            "nobody waits for the image any more: it is stored and not mounted");
    return mount(q, generation->sluice, bundle, err);
}

/* The engine is held from before the job until after the mount, so that both see one store. */
static int pull(struct request *q, struct sl_bundle_path *bundle, struct sl_error *err)
{
    struct sl_generation *generation = NULL;
    q->step = SL_STEP_PULL;
    int r = sl_backend_hold(q->service->backend, &generation, err);
    if (r < 0)
        return r;
    r = run_job(q, err);
    if (r == 0)
        r = finish(q, generation, bundle, err);
    sl_backend_release(q->service->backend, generation);
    return r;
}

static int serve(struct request *q, const struct sl_config *config, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    q->step = SL_STEP_BUNDLE;
    int r = sl_bundle_path_open(config->bundle_roots, config->work_dir, q->message.bundle_path,
                                &bundle, err);
    if (r < 0)
        return r;
    if (strcmp(q->message.image_url, pause_image) != 0)
        return pull(q, &bundle, err);
    const struct sl_pause_options pause = {.bundle = config->pause_bundle};
    return sl_pause_bundle_copy(&pause, &bundle, err);
}

/* ---- the answer ---- */

static void answer(struct request *q, struct sl_span message)
{
    const struct sl_log_about about = {.image = q->message.image_url};
    double seconds = (double)(sl_clock_ms() - q->begun_ms) / 1000;
    sl_rpc_call_answer(sl_steal(&q->call), message);
    sl_metrics_count_request(q->service->metrics, /* err= */ NULL, seconds);
    sl_log_of(SL_LOG_INFO, &about, "%s is at %s after %.3f s",
              *q->manifest ? q->manifest : "the guest's own bundle", q->message.bundle_path,
              seconds);
}

static void refuse(struct request *q, const struct sl_error *failure)
{
    const struct sl_log_about about = {.image = q->message.image_url,
                                       .stage = failure->stage,
                                       .code = sl_errc_name(failure->code)};
    struct sluice_error err = sl_error_to_api(failure);
    struct sl_status status = sl_status_of_failure(q->step, q->message.image_url, &err);
    sl_rpc_call_refuse(sl_steal(&q->call), status.code, status.text);
    sl_metrics_count_request(q->service->metrics, &err,
                             (double)(sl_clock_ms() - q->begun_ms) / 1000);
    sl_log_of(SL_LOG_ERROR, &about, "%s (bundle %.300s)", sl_status_plain(&status),
              q->message.bundle_path);
}

static void run(void *arg)
{
    SL_AUTO(request) q = arg;
    SL_AUTO_DONE(sl_bytes) message = {0};
    struct sl_error err = {0};
    struct sl_backend *backend = q->service->backend;
    struct sl_generation *generation = sl_backend_hold_config(backend);
    int r = serve(q, generation->config, &err);
    sl_backend_release_config(backend, generation);
    if (r == 0)
        r = sl_pull_response_pack(q->manifest, &message, &err);
    if (r == 0)
        answer(q, sl_bytes_span(&message));
    else
        refuse(q, &err);
}

/* ---- the server's thread ---- */

static int request_new(struct sl_pull_service *service, struct sl_rpc_call *call,
                       struct request **ret, struct sl_error *err)
{
    struct request *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    (void)sem_init(&alloc->heard, /* pshared= */ 0, /* value= */ 0);
    SL_AUTO(request) q = alloc;
    int r = sl_pull_request_unpack(sl_rpc_call_request(call), &q->message, err);
    if (r < 0)
        return r;
    q->service = service;
    q->call = call;
    q->begun_ms = sl_clock_ms();
    *ret = sl_steal(&q);
    return 0;
}

/* A request that cannot even be begun. */
static void refuse_at_once(struct sl_rpc_call *call, const struct sl_error *err)
{
    bool is_garbage = err->code == SL_E_FORMAT || err->code == SL_E_LIMIT;
    SL_AUTO_FREE char *text = sl_strf("[CDH] [ERROR]: Failed to pull image: %s", err->msg);
    sl_log(SL_LOG_ERROR, "%s refused: %s", method, err->msg);
    sl_rpc_call_refuse(call, is_garbage ? SL_RPC_INVALID_ARGUMENT : SL_RPC_INTERNAL,
                       text ? text : err->msg);
}

void sl_pull_service_handle(void *arg, struct sl_rpc_call *call)
{
    struct sl_pull_service *service = arg;
    SL_AUTO(request) q = NULL;
    struct sl_error err = {0};
    if (request_new(service, call, &q, &err) < 0) {
        refuse_at_once(call, &err);
        return;
    }
    sl_metrics_begin_request(service->metrics);
    if (sl_crew_run(service->crew, run, q, &err) == 0) {
        (void)sl_steal(&q); /* its thread's */
        return;
    }
    const struct sluice_error failure = sl_error_to_api(&err);
    sl_metrics_count_request(service->metrics, &failure, /* seconds= */ 0);
    sl_log(SL_LOG_ERROR, "%s refused: %s", method, err.msg);
    sl_rpc_call_refuse(call, SL_RPC_RESOURCE_EXHAUSTED, err.msg);
}

/* ---- life ---- */

int sl_pull_service_new(struct sl_jobs *jobs, struct sl_backend *backend,
                        struct sl_metrics *metrics, struct sl_pull_service **ret,
                        struct sl_error *err)
{
    SL_AUTO(sl_pull_service) s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->jobs = jobs;
    s->backend = backend;
    s->metrics = metrics;
    int r = sl_crew_new(REQUESTS_MAX, &s->crew, err);
    if (r == 0)
        *ret = sl_steal(&s);
    return r;
}

struct sl_pull_service *sl_pull_service_free(struct sl_pull_service *s)
{
    if (!s)
        return NULL;
    (void)sl_crew_free(s->crew);
    free(s);
    return NULL;
}
