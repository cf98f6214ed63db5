/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls several images at once through one engine, as a service does:
 *
 *   pull_driver --root DIR [--memory BYTES] [--jobs N] [--verify-first] [--upstream TARGET]
 *               [--kbc SELECTION] [--offline-keys FILE] [--policy TEXT] [--reload] [--wait]
 * IMAGE...
 *
 * Lines on stdin: "cancel N" ends pull N (from 0), "cancel all" the engine. Lines on stdout, in
 * their order: "resolved N NAME DIGEST", "done N ok CACHED FETCHED" (layers) or "done N CODE ERRNO:
 * MESSAGE", and "peak BYTES" at last. With --reload registries are reloaded when the first name is
 * resolved, and nobody is harmed. With --wait the program ends only when stdin does.
 */
#include "sluice/pipeline.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { PULLS_MAX = 64, LINE_SIZE = 64 };

struct settings {
    struct sl_engine_options engine;
    struct sl_pull_options pull;
    bool reload, wait;
};

struct run {
    const struct settings *settings;
    struct sl_engine *engine;
    const char *image;
    size_t number;
    int cancel_fd;
    pthread_t thread;
    size_t peak;
};

static struct run runs[PULLS_MAX];
static size_t n_runs;
static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static int fail(const struct sl_error *err)
{
    fprintf(stderr, "%s %d: %s\n", sl_errc_name(err->code), err->errnum, err->msg);
    return 1;
}

static int on_resolved(void *arg, const char *name, const struct sl_digest *manifest)
{
    struct run *run = arg;
    struct sl_error err = {0};
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(manifest, digest);
    pthread_mutex_lock(&output);
    printf("resolved %zu %s %s\n", run->number, name, digest);
    fflush(stdout);
    pthread_mutex_unlock(&output);
    if (run->settings->reload &&
        sl_engine_reload(run->engine, &run->settings->engine.registry, NULL, &err) < 0)
        (void)fail(&err);
    return 0;
}

static void print_report(const struct run *run, const struct sl_pull_report *report)
{
    size_t cached = 0;
    for (size_t i = 0; i < report->n_layers; i++)
        cached += report->layers[i].state == SL_LAYER_CACHED;
    printf("done %zu ok %zu %zu\n", run->number, cached, report->n_layers - cached);
}

static void *pull(void *arg)
{
    struct run *run = arg;
    struct sl_pull_options options = run->settings->pull;
    SL_AUTO(sl_pull_report) report = NULL;
    struct sl_error err = {0};
    options.image = run->image;
    options.cancel_fd = run->cancel_fd;
    options.resolved = on_resolved;
    options.progress_arg = run;
    int r = sl_pull_image(run->engine, &options, &report, &err);
    pthread_mutex_lock(&output);
    if (r == 0)
        print_report(run, report);
    else
        printf("done %zu %s %d: %s\n", run->number, sl_errc_name(err.code), err.errnum, err.msg);
    fflush(stdout);
    pthread_mutex_unlock(&output);
    run->peak = r == 0 ? report->peak_buffers_bytes : 0;
    return NULL;
}

static void *listen_to_stdin(void *arg)
{
    struct sl_engine *engine = arg;
    char line[LINE_SIZE];
    while (fgets(line, sizeof(line), stdin)) {
        const uint64_t one = 1;
        size_t number = strtoul(line + strlen("cancel "), NULL, 10);
        if (strcmp(line, "cancel all\n") == 0)
            sl_engine_cancel(engine);
        else if (number < n_runs && write(runs[number].cancel_fd, &one, sizeof(one)) < 0)
            perror("cancel");
    }
    return NULL;
}

static void pull_all(struct sl_engine *engine, const struct settings *settings)
{
    size_t peak = 0;
    for (size_t i = 0; i < n_runs; i++) {
        runs[i].settings = settings;
        runs[i].engine = engine;
        if (pthread_create(&runs[i].thread, NULL, pull, &runs[i]) != 0)
            abort();
    }
    for (size_t i = 0; i < n_runs; i++) {
        (void)pthread_join(runs[i].thread, NULL);
        peak = runs[i].peak > peak ? runs[i].peak : peak;
    }
    printf("peak %zu\n", peak);
    fflush(stdout);
}

static const struct option long_options[] = {{"root", required_argument, NULL, 'r'},
                                             {"memory", required_argument, NULL, 'm'},
                                             {"jobs", required_argument, NULL, 'j'},
                                             {"verify-first", no_argument, NULL, 'v'},
                                             {"upstream", required_argument, NULL, 'u'},
                                             {"kbc", required_argument, NULL, 'k'},
                                             {"policy", required_argument, NULL, 'p'},
                                             {"reload", no_argument, NULL, 'l'},
                                             {"wait", no_argument, NULL, 'w'},
                                             {"offline-keys", required_argument, NULL, 'o'},
                                             {NULL, 0, NULL, 0}};

static bool take_option(int option, struct settings *s)
{
    switch (option) {
    case 'r':
        s->engine.root = optarg;
        return true;
    case 'm':
        s->engine.memory = strtoul(optarg, NULL, 10);
        return true;
    case 'j':
        s->pull.jobs = (unsigned)strtoul(optarg, NULL, 10);
        return true;
    case 'v':
        s->pull.verify_first = true;
        return true;
    case 'u':
        s->pull.keys.upstream = optarg;
        return true;
    case 'k':
        s->pull.keys.kbc = optarg;
        return true;
    case 'o':
        s->pull.keys.offline_keys = optarg;
        return true;
    case 'p':
        s->pull.policy = (struct sl_policy_options){.policy_text = optarg};
        return true;
    case 'l':
        s->reload = true;
        return true;
    case 'w':
        s->wait = true;
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    struct settings settings = {.engine.registry = {.insecure = true, .max_attempts = 2},
                                .pull.policy.insecure = true};
    struct sl_error err = {0};
    SL_AUTO(sl_engine) engine = NULL;
    pthread_t listener;
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
        if (!take_option(option, &settings))
            return 2;
    for (; optind < argc && n_runs < PULLS_MAX; n_runs++)
        runs[n_runs] = (struct run){
            .image = argv[optind++], .number = n_runs, .cancel_fd = eventfd(0, EFD_CLOEXEC)};
    if (sl_engine_new(&settings.engine, &engine, &err) < 0)
        return fail(&err);
    if (pthread_create(&listener, NULL, listen_to_stdin, engine) != 0)
        return 1;
    pull_all(engine, &settings);
    if (!settings.wait)
        (void)pthread_cancel(listener);
    (void)pthread_join(listener, NULL);
    for (size_t i = 0; i < n_runs; i++)
        close(runs[i].cancel_fd);
    return 0;
}
