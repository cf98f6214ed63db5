/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: the main thread waits for signals, for the table of mounts, for what changes, and for
 * the manager's watchdog; what may block is done by two housekeepers. While nothing happens nothing
 * wakes up, unless the manager watches.
 */
#include "daemon.h"

#include "control_service.h"
#include "credentials.h"
#include "daemon_listen.h"
#include "forward.h"
#include "hub_keys.h"
#include "metrics_endpoint.h"
#include "mount_watch.h"
#include "notify.h"
#include "privileges.h"
#include "pull_service.h"
#include "sluice/core/cancel.h"
#include "sluice/core/clock.h"
#include "sluice/core/log.h"

#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    HOUSEKEEPERS = 2,   /* one may wait for a broker while the other sees to mounts */
    STOP_MS = 1000,     /* for answers to leave, at the end */
    STATUS_MS = 5000,   /* between two words to the manager about pulls that run */
    WATCHDOG_SHARE = 3, /* times within the manager's patience that we say something */
    SERVICES = 1 + SL_HUB_KEYS_SERVICES,
};

struct daemon {
    const char *config_path;
    unsigned drain_s;
    struct sl_notify *notify;
    struct sl_metrics *metrics;
    struct sl_backend *backend;
    struct sl_image_claims *claims;
    struct sl_jobs *jobs;
    struct sl_pull_service *pulls;
    struct sl_hub_keys *keys;
    struct sl_forward *forward;
    struct sl_rpc_service services[SERVICES + 1];
    struct sl_rpc_server *server;
    struct sl_worker_pool *housekeepers;
    struct sl_mount_watch *mounts;
    struct sl_control *control;
    struct sl_metrics_endpoint *endpoint;
    char **addresses; /* NULL-terminated */
    int signal_fd, changed_fd;
    int end_fd;                  /* readable while SIGTERM or SIGINT is pending; never read */
    pthread_mutex_t reload_lock; /* one at a time */
    struct sl_task reload_task, drain_task, trim_task;
    atomic_bool is_draining, is_drained;
    int64_t watchdog_ms, watchdog_at; /* CLOCK_MONOTONIC milliseconds; INT64_MAX: none */
    int64_t status_at;
};

/* ---- what the configuration says of the log ---- */

static enum sl_log_level level_of(const char *name)
{
    static const struct {
        const char *name;
        enum sl_log_level level;
    } levels[] = {{"error", SL_LOG_ERROR}, {"warn", SL_LOG_WARN},   {"info", SL_LOG_INFO},
                  {"debug", SL_LOG_DEBUG}, {"trace", SL_LOG_DEBUG}, {"off", SL_LOG_ERROR}};
    for (size_t i = 0; name && i < sizeof(levels) / sizeof(levels[0]); i++)
        if (strcmp(levels[i].name, name) == 0)
            return levels[i].level;
    return SL_LOG_INFO;
}

static void set_log(const struct sl_loaded_config *config)
{
    sl_log_setup(level_of(config->values.log_level), config->values.log_json);
    for (char **w = config->warnings; w && *w; w++)
        sl_log(SL_LOG_WARN, "%s", *w);
}

/* ---- reloading ---- */

static int load_again(struct daemon *d, struct sl_error *err)
{
    SL_AUTO(sl_loaded_config) config = NULL;
    int r = sl_config_load(d->config_path, /* sources= */ NULL, &config, err);
    if (r < 0)
        return r;
    const enum sl_log_level level = level_of(config->values.log_level);
    bool as_json = config->values.log_json;
    for (char **w = config->warnings; w && *w; w++)
        sl_log(SL_LOG_WARN, "%s", *w);
    r = sl_backend_reload(d->backend, &config, err);
    if (r == 0)
        sl_log_setup(level, as_json);
    return r;
}

/* Any thread. */
static int reload(void *arg, struct sl_error *err)
{
    struct daemon *d = arg;
    struct sl_error own = {0};
    pthread_mutex_lock(&d->reload_lock);
    sl_notify_reloading(d->notify);
    int r = load_again(d, &own);
    sl_metrics_count_reload(d->metrics, r == 0);
    if (r == 0)
        sl_log(SL_LOG_INFO, "configuration reloaded: generation %llu",
               (unsigned long long)sl_backend_number(d->backend));
    else
        sl_log_of(SL_LOG_ERROR, &(struct sl_log_about){.code = sl_errc_name(own.code)},
                  "configuration not reloaded, the old one stays: %s", own.msg);
    sl_notify_ready(d->notify);
    pthread_mutex_unlock(&d->reload_lock);
    if (r < 0 && err)
        *err = own;
    return r;
}

static struct daemon *daemon_of(struct sl_task *task, size_t offset)
{
    return (struct daemon *)((char *)task - offset);
}

static void run_reload(struct sl_task *task)
{
    (void)reload(daemon_of(task, offsetof(struct daemon, reload_task)), NULL);
}

/* ---- what changes ---- */

static void wake(struct daemon *d)
{
    const uint64_t one = 1;
    (void)!write(d->changed_fd, &one, sizeof(one));
}

/* A request has come or gone, on whichever thread. */
static void note_change(void *arg)
{
    wake(arg);
}

/* On whichever thread, too. */
static void note_unclaimed(void *arg)
{
    sl_mount_watch_settle(((struct daemon *)arg)->mounts);
}

struct progress {
    size_t jobs;
    uint64_t bytes, received;
};

static void sum_up(struct sl_jobs *jobs, struct progress *ret)
{
    struct sl_job_info *infos = NULL;
    size_t n = 0;
    if (sl_jobs_list(jobs, &infos, &n, NULL) < 0)
        return;
    ret->jobs = n;
    for (size_t i = 0; i < n; i++) {
        ret->bytes += infos[i].bytes;
        ret->received += infos[i].received;
    }
    sl_job_infos_free(infos, n);
}

/* The next word is due in a while if pulls run, else when something changes. */
static void tell_status(struct daemon *d, int64_t now)
{
    struct progress p = {0};
    char text[160];
    sum_up(d->jobs, &p);
    const char *end = atomic_load(&d->is_draining) ? "ending: " : "";
    if (p.jobs > 0)
        (void)snprintf(text, sizeof(text), "%s%zu pulls, %llu of %llu MB", end, p.jobs,
                       (unsigned long long)(p.received / 1000000),
                       (unsigned long long)(p.bytes / 1000000));
    else
        (void)snprintf(text, sizeof(text), "%sidle, %llu pulls done", end,
                       (unsigned long long)sl_metrics_pulls(d->metrics));
    sl_notify_status(d->notify, text);
    d->status_at = p.jobs > 0 ? now + STATUS_MS : INT64_MAX;
}

/* Buffers that were used, and what allocations have left over at the top of the heaps: only worth
 * it once all is quiet, and on nobody's way to his answer. */
static void run_trim(struct sl_task *task)
{
    struct daemon *d = daemon_of(task, offsetof(struct daemon, trim_task));
    if (sl_jobs_are_idle(d->jobs) && sl_metrics_requests_in_flight(d->metrics) == 0)
        sl_backend_trim(d->backend);
}

static void handle_change(struct daemon *d, int64_t now)
{
    uint64_t count;
    (void)!read(d->changed_fd, &count, sizeof(count));
    tell_status(d, now);
    if (sl_metrics_requests_in_flight(d->metrics) == 0)
        sl_task_wake(&d->trim_task);
}

/* ---- the end ---- */

static void run_drain(struct sl_task *task)
{
    struct daemon *d = daemon_of(task, offsetof(struct daemon, drain_task));
    sl_jobs_drain(d->jobs, d->drain_s);
    atomic_store(&d->is_drained, true);
    wake(d);
}

static void begin_end(struct daemon *d)
{
    if (atomic_exchange(&d->is_draining, true)) {
        sl_log(SL_LOG_WARN, "told to end a second time: pulls that run are cancelled");
        sl_jobs_hurry(d->jobs); /* first, since it knows what to tell them */
        sl_backend_cancel(d->backend);
        return;
    }
    sl_notify_stopping(d->notify, (int64_t)d->drain_s * 1000 + (int64_t)2 * STOP_MS);
    if (!sl_jobs_are_idle(d->jobs))
        sl_log(SL_LOG_INFO, "told to end: pulls that run have %u s", d->drain_s);
    sl_task_wake(&d->drain_task);
}

static void handle_signal(struct daemon *d)
{
    struct signalfd_siginfo info;
    if (read(d->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP)
        sl_task_wake(&d->reload_task);
    else
        begin_end(d);
}

/* ---- the loop ---- */

/* This thread is alive, or it would not be here. */
static void feed_watchdog(struct daemon *d, int64_t now)
{
    if (now < d->watchdog_at)
        return;
    d->watchdog_at = now + d->watchdog_ms / WATCHDOG_SHARE;
    if (sl_rpc_server_is_alive(d->server))
        sl_notify_alive(d->notify);
    else
        sl_log(SL_LOG_ERROR, "the thread that serves calls does not come round");
}

static int next_timeout(const struct daemon *d)
{
    int64_t at = d->watchdog_at < d->status_at ? d->watchdog_at : d->status_at;
    return at == INT64_MAX ? -1 : sl_clock_remaining_ms(at);
}

static int loop(struct daemon *d, struct sl_error *err)
{
    struct pollfd fds[] = {{d->signal_fd, POLLIN, 0},
                           {d->changed_fd, POLLIN, 0},
                           {sl_mount_watch_fd(d->mounts), POLLPRI, 0}};
    while (!atomic_load(&d->is_drained)) {
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), next_timeout(d)) < 0 && errno != EINTR)
            return sl_error_system(err, errno, "waiting for signals");
        int64_t now = sl_clock_ms();
        if (fds[0].revents)
            handle_signal(d);
        if (fds[1].revents || now >= d->status_at)
            handle_change(d, now);
        if (fds[2].revents)
            sl_mount_watch_look(d->mounts);
        feed_watchdog(d, now);
    }
    return 0;
}

/* ---- opening ---- */

static sigset_t end_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static sigset_t all_signals(void)
{
    sigset_t signals = end_signals();
    sigaddset(&signals, SIGHUP);
    return signals;
}

void sl_daemon_block_signals(void)
{
    const sigset_t signals = all_signals();
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* fails for no valid first argument */
}

static int open_fds(struct daemon *d, struct sl_error *err)
{
    const sigset_t signals = all_signals(), end = end_signals();
    d->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    d->end_fd = signalfd(-1, &end, SFD_CLOEXEC | SFD_NONBLOCK);
    d->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->signal_fd < 0 || d->end_fd < 0 || d->changed_fd < 0)
        return sl_error_system(err, errno, "cannot make descriptors");
    return 0;
}

static int open_work(struct daemon *d, struct sl_loaded_config **config, struct sl_error *err)
{
    const struct sl_config *c = &(*config)->values;
    struct sl_jobs_options options = {.pulls = c->pulls, .progress_s = c->progress_s};
    d->drain_s = c->drain_s;
    int r = sl_metrics_new(&d->metrics, err);
    if (r == 0)
        r = sl_backend_new(config, &d->backend, err);
    if (r == 0)
        r = sl_image_claims_new(&d->claims, err);
    if (r == 0)
        r = sl_worker_pool_new(HOUSEKEEPERS, &d->housekeepers, err);
    if (r == 0)
        r = sl_mount_watch_new(d->backend, d->claims, d->housekeepers, &d->mounts, err);
    if (r < 0)
        return r;
    sl_metrics_watch(d->metrics, note_change, d);
    sl_image_claims_watch(d->claims, note_unclaimed, d);
    sl_task_init(&d->reload_task, d->housekeepers, run_reload);
    sl_task_init(&d->drain_task, d->housekeepers, run_drain);
    sl_task_init(&d->trim_task, d->housekeepers, run_trim);
    options.backend = d->backend;
    options.metrics = d->metrics;
    options.claims = d->claims;
    return sl_jobs_new(&options, &d->jobs, err);
}

static int open_services(struct daemon *d, const struct sl_config *c, struct sl_error *err)
{
    int r = sl_pull_service_new(d->jobs, d->backend, d->metrics, &d->pulls, err);
    if (r == 0)
        r = sl_hub_keys_new(d->backend, c->upstream != NULL, &d->keys, err);
    if (r == 0 && c->upstream)
        r = sl_forward_new(c->upstream, d->metrics, &d->forward, err);
    if (r < 0)
        return r;
    d->services[0] = (struct sl_rpc_service){sl_pull_service_name, sl_pull_service_methods,
                                             sl_pull_service_handle, d->pulls};
    sl_hub_keys_services(d->keys, d->services + 1);
    return 0;
}

static int open_server(struct daemon *d, const struct sl_config *c, struct sl_error *err)
{
    const struct sl_rpc_server_options options = {.services = d->services,
                                                  .handle_unknown =
                                                      d->forward ? sl_forward_handle : NULL,
                                                  .unknown_arg = d->forward};
    int r = sl_rpc_server_new(&options, &d->server, err);
    if (r == 0)
        r = sl_daemon_listen(d->server, c, &d->addresses, err);
    return r < 0 ? r : sl_rpc_server_start(d->server, err);
}

static int open_control(struct daemon *d, const struct sl_config *c, struct sl_error *err)
{
    if (!c->control || !*c->control)
        return 0;
    const struct sl_control_options options = {.address = c->control,
                                               .jobs = d->jobs,
                                               .backend = d->backend,
                                               .config_path = d->config_path,
                                               .reload = reload,
                                               .arg = d};
    int r = sl_daemon_make_folder(c->control, err);
    if (r == 0)
        r = sl_control_start(&options, &d->control, err);
    return r < 0 ? sl_error_wrap(err, r, "sluice.control") : 0;
}

static int give_metrics(void *arg, struct sl_bytes *ret, struct sl_error *err)
{
    struct daemon *d = arg;
    struct progress p = {0};
    struct sluice_usage usage = {.size = sizeof(usage)};
    struct sl_generation *g = sl_backend_peek(d->backend);
    sum_up(d->jobs, &p);
    if (g)
        sluice_get_usage(g->sluice, &usage);
    int r = sl_metrics_format(d->metrics, g ? &usage : NULL, (unsigned)p.jobs, ret, err);
    sl_backend_release(d->backend, g);
    return r;
}

static bool give_health(void *arg)
{
    return !atomic_load(&((struct daemon *)arg)->is_draining);
}

static int open_endpoint(struct daemon *d, const struct sl_config *c, struct sl_error *err)
{
    SL_AUTO_FREE char *address = NULL;
    if (!c->metrics)
        return 0;
    const struct sl_metrics_endpoint_options options = {
        .address = c->metrics, .metrics = give_metrics, .is_healthy = give_health, .arg = d};
    int r = sl_daemon_make_folder(c->metrics, err);
    if (r == 0)
        r = sl_metrics_endpoint_start(&options, &d->endpoint, &address, err);
    if (r < 0)
        return sl_error_wrap(err, r, "sluice.metrics");
    sl_log(SL_LOG_INFO, "metrics at %s", address);
    return 0;
}

static int open_all(struct daemon *d, struct sl_loaded_config **config, struct sl_error *err)
{
    int r = open_fds(d, err);
    if (r == 0)
        r = sl_notify_open(&d->notify, err);
    if (r == 0)
        r = open_work(d, config, err);
    if (r < 0)
        return r;
    const struct sl_config *c = sl_backend_config(d->backend);
    r = open_services(d, c, err);
    if (r == 0)
        r = open_control(d, c, err);
    if (r == 0)
        r = open_endpoint(d, c, err);
    /* Programs of the guest read them as soon as they see the hub's socket. */
    if (r == 0)
        r = sl_credentials_write(d->backend, d->end_fd, err);
    if (r == 0)
        r = open_server(d, c, err);
    return r;
}

/* What they were told last still looks at the jobs. Nobody tells them anything any more. */
static void await_housekeepers(struct daemon *d)
{
    if (!d->jobs)
        return; /* they were never told anything */
    sl_backend_cancel(d->backend);
    sl_task_wait_idle(&d->reload_task);
    sl_task_wait_idle(&d->drain_task);
    sl_task_wait_idle(&d->trim_task);
}

/* In the reverse order; each accepts that it was never opened. */
static void close_all(struct daemon *d)
{
    d->control = sl_control_stop(d->control);
    d->endpoint = sl_metrics_endpoint_stop(d->endpoint);
    if (d->server)
        sl_rpc_server_stop(d->server, STOP_MS);
    if (d->jobs && !atomic_load(&d->is_drained))
        sl_jobs_drain(d->jobs, /* seconds= */ 0);
    /* Requests that came at the last moment still ask the jobs. */
    d->pulls = sl_pull_service_free(d->pulls);
    await_housekeepers(d);
    d->jobs = sl_jobs_free(d->jobs);
    d->keys = sl_hub_keys_free(d->keys);
    d->forward = sl_forward_free(d->forward);
    /* Answers of all of these go through the server. */
    d->server = sl_rpc_server_free(d->server);
    d->mounts = sl_mount_watch_free(d->mounts);
    d->claims = sl_image_claims_free(d->claims);
    d->housekeepers = sl_worker_pool_free(d->housekeepers);
    d->backend = sl_backend_free(d->backend);
    d->metrics = sl_metrics_free(d->metrics);
    d->notify = sl_notify_close(d->notify);
    sl_daemon_addresses_free(d->addresses);
    sl_cleanup_fdp(&d->changed_fd);
    sl_cleanup_fdp(&d->end_fd);
    sl_cleanup_fdp(&d->signal_fd);
    pthread_mutex_destroy(&d->reload_lock);
}

static void begin(struct daemon *d, const struct sl_daemon_options *options)
{
    int64_t now = sl_clock_ms();
    sl_warn_of_privileges();
    for (char **a = d->addresses; *a; a++)
        sl_log(SL_LOG_INFO, "serves at %s", *a);
    d->watchdog_ms = sl_notify_watchdog_ms(d->notify);
    d->watchdog_at = d->watchdog_ms ? now : INT64_MAX;
    if (options->ready)
        options->ready(options->ready_arg, (const char *const *)d->addresses);
    sl_notify_ready(d->notify);
    tell_status(d, now);
    /* What was unmounted while nobody watched. */
    sl_mount_watch_look(d->mounts);
    (void)malloc_trim(/* pad= */ 0);
}

int sl_daemon_run(const struct sl_daemon_options *options, struct sl_loaded_config **config,
                  struct sl_error *err)
{
    struct daemon d = {.config_path = options->config_path,
                       .signal_fd = -1,
                       .changed_fd = -1,
                       .end_fd = -1,
                       .status_at = INT64_MAX};
    pthread_mutex_init(&d.reload_lock, NULL);
    set_log(*config);
    int r = open_all(&d, config, err);
    if (r == 0) {
        begin(&d, options);
        r = loop(&d, err);
        sl_log(SL_LOG_INFO, "ends");
    } else if (r == -ECANCELED && sl_cancel_is_asked(d.end_fd)) {
        sl_log(SL_LOG_INFO, "told to end while it starts: ends");
        r = 0;
    }
    close_all(&d);
    return r;
}
