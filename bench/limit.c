/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "exit_codes.h"
#include "limit_parts.h"
#include "remove_tree.h"

#include "sluice/core/secret.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    RUNS_DEFAULT = 3,
    COPY_BYTES = 64 * 1024 * 1024, /* of memory, to measure what copying costs */
    COPIES = 4,
};

static const char usage[] =
    "usage: sluice-bench limit [OPTION...] IMAGE\n"
    "Prints the least time in which this machine could pull IMAGE, then pulls it.\n"
    "  --root DIR             put stores and trees below DIR (default /dev/shm)\n"
    "  --decryption-key SPEC  as of sluice pull; may be repeated\n"
    "  --tls-verify=false     do not verify certificates, and allow plain HTTP\n"
    "  --runs N               measure and pull N times in turn, 1 to 9 (default 3)\n"
    "  --registry-pid PID     the registry, when it runs on this machine and is not found\n"
    "  --memory BYTES         refuse what needs more (default: half of what is free)\n"
    "  --json                 one record on one line\n";

/* ---- options ---- */

enum option_id { ROOT = 256, KEY, TLS_VERIFY, RUNS, REGISTRY_PID, MEMORY, JSON, HELP };

static const struct option long_options[] = {
    {"root", required_argument, NULL, ROOT},
    {"decryption-key", required_argument, NULL, KEY},
    {"tls-verify", required_argument, NULL, TLS_VERIFY},
    {"runs", required_argument, NULL, RUNS},
    {"registry-pid", required_argument, NULL, REGISTRY_PID},
    {"memory", required_argument, NULL, MEMORY},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static int bad_usage(const char *what)
{
    fprintf(stderr, "limit: %s; see sluice-bench limit --help\n", what);
    return EXIT_USAGE;
}

/* False unless it is a decimal number from 1 to max. */
static bool read_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == 0 && text[0] >= '0' && text[0] <= '9' && *ret > 0 && *ret <= max;
}

/* An exit status, or -1 to go on. last: the word that was read. */
static int take_option(struct limit_options *o, int id, const char *last, size_t *n_keys)
{
    uint64_t n;
    switch (id) {
    case ROOT:
        o->root = optarg;
        return -1;
    case KEY:
        if (*n_keys == LIMIT_KEYS_MAX)
            return bad_usage("too many decryption keys");
        o->decryption_keys[(*n_keys)++] = optarg;
        return -1;
    case TLS_VERIFY:
        o->insecure = strcmp(optarg, "false") == 0;
        return o->insecure || strcmp(optarg, "true") == 0
                   ? -1
                   : bad_usage("--tls-verify: true or false");
    case RUNS:
        if (!read_number(optarg, LIMIT_RUNS_MAX, &n))
            return bad_usage("--runs: a number from 1 to 9");
        o->runs = (unsigned)n;
        return -1;
    case REGISTRY_PID:
        if (!read_number(optarg, INT32_MAX, &n))
            return bad_usage("--registry-pid: the number of a process");
        o->server = (pid_t)n;
        return -1;
    case MEMORY:
        return read_number(optarg, INT64_MAX, &o->memory)
                   ? -1
                   : bad_usage("--memory: a number of bytes");
    case JSON:
        o->json = true;
        return -1;
    case HELP:
        fputs(usage, stdout);
        return EXIT_DONE;
    default:
        fprintf(stderr,
                "limit: %s: no option, or one that wants a value; see sluice-bench limit --help\n",
                last);
        return EXIT_USAGE;
    }
}

static int read_options(int argc, char **argv, struct limit_options *o)
{
    size_t n_keys = 0;
    *o = (struct limit_options){.root = "/dev/shm", .runs = RUNS_DEFAULT};
    opterr = 0;
    optind = 0;
    for (int id; (id = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        int status = take_option(o, id, argv[optind - 1], &n_keys);
        if (status >= 0)
            return status;
    }
    if (optind + 1 != argc)
        return bad_usage(optind == argc ? "which image" : "one image at a time");
    o->image = argv[optind];
    return -1;
}

/* ---- a folder for all of it ---- */

static volatile sig_atomic_t is_interrupted;

static void interrupt(int sig)
{
    (void)sig;
    is_interrupted = 1;
}

/* Between two steps: gigabytes in memory must not outlive the program. */
static int check_interrupt(struct sl_error *err)
{
    return is_interrupted ? sl_error_set(err, SL_E_CANCELLED, ECANCELED, "interrupted") : 0;
}

struct work {
    const struct limit_options *options;
    struct limit_image image;
    struct limit_pull pulls[LIMIT_RUNS_MAX];
    char *folder; /* below the root */
    bool is_volatile;
    uint64_t memory; /* bytes that may be used at once */
};

/* From here on something is left behind. The second time the program ends where it is. */
static int make_folder(struct work *w, struct sl_error *err)
{
    const struct sigaction action = {.sa_handler = interrupt,
                                     .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    w->folder = sl_strf("%s/sluice-limit-XXXXXX", w->options->root);
    if (!w->folder)
        return sl_error_oom(err);
    if (mkdtemp(w->folder)) {
        w->is_volatile = limit_is_volatile(w->folder);
        return 0;
    }
    int r = sl_error_system(err, errno, "creating a folder in %s", w->options->root);
    free(sl_steal(&w->folder));
    return r;
}

/* The parent is what lies on the same file system. */
static void remove_folder(const char *path)
{
    if (!path)
        return;
    struct sl_error err;
    const char *name = strrchr(path, '/') + 1;
    SL_AUTO_FREE char *parent = sl_strf("%.*s", (int)(name - path), path);
    SL_AUTO_FD dir = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (dir < 0)
        fprintf(stderr, "limit: %s stays: its parent does not open\n", path);
    else if (sl_remove_tree(dir, name, &err) < 0)
        fprintf(stderr, "limit: %s stays: %s\n", path, err.msg);
}

/* ---- what fits ---- */

static int too_large(const char *what, uint64_t limit, struct sl_error *err)
{
    return sl_error_set(err, SL_E_LIMIT, ENOMEM,
                        "%s than %.1f MB, what may be used of memory: give --memory more, or take "
                        "a smaller image",
                        what, (double)limit / 1e6);
}

/* A tree on tmpfs is memory, too. */
static size_t plain_limit(const struct work *w, const struct limit_layer *l)
{
    uint64_t left = w->memory - l->blob->size;
    return (size_t)(w->is_volatile ? left / 2 : left);
}

static int check_blobs(const struct work *w, struct sl_error *err)
{
    for (size_t i = 0; i < w->image.n_layers; i++)
        if (w->image.layers[i].blob->size >= w->memory)
            return too_large("a layer needs more", w->memory, err);
    return 0;
}

static uint64_t plain_bytes(const struct work *w)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < w->image.n_layers; i++)
        sum += w->image.layers[i].plain_bytes;
    return sum;
}

/* Known once all layers have been unpacked. Where removing a tree makes the next one slow, all of
 * them stay to the end: one of each run for the parts, one for the pull, and GNU tar's. */
static int check_trees(const struct work *w, struct sl_error *err)
{
    struct statvfs fs;
    uint64_t plain = plain_bytes(w);
    if (w->is_volatile)
        return plain > w->memory ? too_large("the image's files need more", w->memory, err) : 0;
    if (statvfs(w->folder, &fs) < 0)
        return sl_error_system(err, errno, "%s", w->folder);
    uint64_t needed = plain * 2 * w->options->runs, free_bytes = fs.f_bavail * fs.f_frsize;
    if (needed <= free_bytes)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, ENOSPC,
                        "%s has %.1f MB free, and %u runs need %.1f: lower --runs, or give it "
                        "more room",
                        w->options->root, (double)free_bytes / 1e6, w->options->runs,
                        (double)needed / 1e6);
}

/* ---- measuring ---- */

static int measure_layer(struct work *w, size_t run, size_t i, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) blob = {0};
    SL_AUTO_DONE(sl_bytes) plain = {0};
    SL_AUTO_FREE char *root = sl_strf("%s/parts-%zu-%zu", w->folder, run, i);
    struct limit_layer *l = &w->image.layers[i];
    struct limit_cost *costs = l->runs[run];
    size_t limit = plain_limit(w, l);
    int r = root ? limit_receive(&w->image, l, &blob, costs, err) : sl_error_oom(err);
    if (r == 0)
        r = limit_decode(&w->image, l, &blob, &plain, limit, costs, err);
    if (r == -E2BIG)
        r = too_large("it unpacks to more", limit, err);
    if (r < 0)
        return r;
    sl_bytes_done(&blob);
    l->plain_bytes = plain.len;
    r = limit_make_tree(&w->image, l, sl_bytes_span(&plain), root, /* gnu_tar= */ run == 0, costs,
                        err);
    if (w->is_volatile)
        remove_folder(root);
    return r;
}

static int measure(struct work *w, size_t run, struct sl_error *err)
{
    for (size_t i = 0; i < w->image.n_layers; i++) {
        int r = check_interrupt(err);
        if (r == 0)
            r = measure_layer(w, run, i, err);
        if (r < 0)
            return sl_error_wrap(err, r, "layer %zu/%zu", i + 1, w->image.n_layers);
    }
    return check_trees(w, err);
}

static int pull(struct work *w, size_t run, struct sl_error *err)
{
    SL_AUTO_FREE char *root = sl_strf("%s/pull-%zu", w->folder, run);
    int r = root ? check_interrupt(err) : sl_error_oom(err);
    if (r == 0 && w->is_volatile)
        limit_touch_memory(w->folder, plain_bytes(w));
    if (r == 0)
        r = limit_pull_once(w->options, &w->image, root, &w->pulls[run], err);
    if (w->is_volatile)
        remove_folder(root);
    return r;
}

/* Of each part the run that took least CPU: what was dearer once need not be, and a bound that is
 * too high would flatter the pull. */
static void take_cheapest(struct work *w)
{
    for (size_t i = 0; i < w->image.n_layers; i++)
        for (int part = 0; part < LIMIT_PARTS; part++) {
            struct limit_layer *l = &w->image.layers[i];
            l->costs[part] = l->runs[0][part];
            for (unsigned run = 1; run < w->options->runs; run++)
                limit_keep_best(&l->costs[part], &l->runs[run][part]);
        }
}

/* In turn, since machines drift. */
static int measure_and_pull(struct work *w, struct sl_error *err)
{
    for (unsigned run = 0; run < w->options->runs; run++) {
        int r = measure(w, run, err);
        if (r == 0)
            r = pull(w, run, err);
        if (r < 0)
            return r;
    }
    take_cheapest(w);
    return 0;
}

/* ---- the story ---- */

static unsigned usable_cores(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

static double measure_copy(void)
{
    SL_AUTO_FREE char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);
    double best = 0;
    if (!from || !to)
        return 0;
    memset(from, 1, COPY_BYTES);
    memset(to, 2, COPY_BYTES);
    for (int i = 0; i < COPIES; i++) {
        struct limit_cost cost = {0};
        struct limit_meter since = limit_meter_now();
        memcpy(to, from, COPY_BYTES);
        limit_meter_add(&cost, since);
        best = cost.wall > 0 && COPY_BYTES / cost.wall > best ? COPY_BYTES / cost.wall : best;
        from[i] = to[COPY_BYTES - 1 - i];
    }
    return best;
}

static int run_limit(struct work *w, struct sl_error *err)
{
    int r = limit_image_open(w->options, &w->image, err);
    w->memory = w->options->memory ? w->options->memory : limit_free_memory() / 2;
    if (r == 0)
        r = check_blobs(w, err);
    if (r == 0)
        r = make_folder(w, err);
    if (r == 0)
        r = measure_and_pull(w, err);
    if (r < 0)
        return r;
    const struct limit_result result = {.options = w->options,
                                        .image = &w->image,
                                        .pulls = w->pulls,
                                        .cores = usable_cores(),
                                        .copy_rate = measure_copy(),
                                        .is_volatile = w->is_volatile};
    if (w->options->json)
        return limit_print_json(&result, err);
    limit_print(&result);
    return 0;
}

static void work_done(struct work *w)
{
    for (size_t i = 0; i < LIMIT_RUNS_MAX; i++)
        (void)sl_pull_report_free(w->pulls[i].report);
    limit_image_done(&w->image);
    remove_folder(w->folder);
    free(w->folder);
}

int sl_bench_limit(int argc, char **argv)
{
    struct limit_options options;
    struct sl_error err = {0};
    int status = read_options(argc, argv, &options);
    if (status >= 0)
        return status;
    sl_secret_init();
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    struct work work = {.options = &options};
    int r = run_limit(&work, &err);
    work_done(&work);
    if (r == 0)
        return EXIT_DONE;
    fprintf(stderr, "limit: %s: %s\n", options.image, err.msg);
    return exit_code_of(err.code);
}
