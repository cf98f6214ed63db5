/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "pull_display.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

/* Signals that ask a pull to stop are taken by one thread, which may call anything. */
struct signal_watch {
    sigset_t signals;
    pthread_t thread;
    struct sl_engine *engine;
};

static void *watch(void *arg)
{
    struct signal_watch *w = arg;
    int sig;
    while (sigwait(&w->signals, &sig) == 0 && sig != SIGUSR1)
        sl_engine_cancel(w->engine);
    return NULL;
}

/* Before any other thread starts, so that all inherit the mask. */
static void block_signals(struct signal_watch *w)
{
    sigemptyset(&w->signals);
    sigaddset(&w->signals, SIGINT);
    sigaddset(&w->signals, SIGTERM);
    sigaddset(&w->signals, SIGHUP);
    sigaddset(&w->signals, SIGUSR1); /* our own: the pull is over */
    (void)pthread_sigmask(SIG_BLOCK, &w->signals, NULL);
}

static int start_watch(struct signal_watch *w, struct sl_engine *engine, struct sl_error *err)
{
    w->engine = engine;
    int r = pthread_create(&w->thread, NULL, watch, w);
    return r ? sl_error_system(err, r, "start a thread") : 0;
}

static void stop_watch(struct signal_watch *w)
{
    (void)pthread_kill(w->thread, SIGUSR1);
    (void)pthread_join(w->thread, NULL);
}

static int print_result(const struct cli_options *o, const struct sl_pull_report *report,
                        struct sl_error *err)
{
    if (o->stats)
        pull_display_stats(report);
    if (o->json)
        return pull_display_json(report, err);
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&report->manifest, digest);
    puts(digest);
    return 0;
}

static int pull(const struct cli_options *o, struct sl_engine *engine,
                struct sl_pull_report **report, struct sl_error *err)
{
    struct pull_display display;
    pull_display_init(&display);
    const struct sl_pull_options options = {
        .image = o->args[0],
        .bundle = o->args[1],
        .platform = o->platform,
        .keys = {.decryption_keys = o->decryption_keys,
                 .kbc = o->kbc,
                 .offline_keys = o->offline_keys},
        .insecure_policy = o->insecure_policy,
        .verify_first = o->verify_first,
        .jobs = o->jobs,
        .progress = o->quiet || o->json ? NULL : pull_display_progress,
        .progress_arg = &display,
    };
    return sl_pull_image(engine, &options, report, err);
}

int verb_pull(const struct cli_options *o, struct sl_error *err)
{
    struct signal_watch signals;
    SL_AUTO(sl_engine) engine = NULL;
    SL_AUTO(sl_pull_report) report = NULL;
    const struct sl_engine_options options = {
        .root = o->root, .memory = o->memory, .registry = o->registry};
    block_signals(&signals);
    int r = sl_engine_new(&options, &engine, err);
    if (r < 0)
        return r;
    r = start_watch(&signals, engine, err);
    if (r < 0)
        return r;
    r = pull(o, engine, &report, err);
    stop_watch(&signals);
    return r < 0 ? r : print_result(o, report, err);
}
