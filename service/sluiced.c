/* SPDX-License-Identifier: Apache-2.0 */
/* The program sluiced: its command line is that of the confidential data hub. */
#include "daemon.h"
#include "sluice.h"
#include "sluice/core/log.h"
#include "sluice/core/secret.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
    EXIT_OK,
    EXIT_FAILED,
    EXIT_USAGE, /* the command line or the configuration: nothing to be tried again */
    ARENAS = 2, /* heaps of malloc(): each keeps what its threads have freed */
};

static const char usage[] =
    "usage: sluiced [-c FILE]\n"
    "\n"
    "Serves pulls of container images on the socket of the confidential data hub.\n"
    "\n"
    "  -c, --config FILE  the hub's configuration (TOML, or JSON when it ends in .json)\n"
    "  -h, --help         print this help\n"
    "  -V, --version      print the version\n"
    "\n"
    "SIGHUP reads the configuration again, SIGTERM ends when the pulls that run are over.\n"
    "sluice config check FILE tells what a configuration means; sluice status, what runs.\n";

/* Keys are in memory: a locked heap for them, and no core dumps. Descriptors: each layer on its way
 * and each connection has some. Files of others are never made. */
static void harden(void)
{
    static const struct rlimit none = {0};
    struct rlimit files;
    (void)setrlimit(RLIMIT_CORE, &none); /* for the programs it runs, too */
    (void)prctl(PR_SET_DUMPABLE, 0);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before the first thread */
    (void)mallopt(M_ARENA_MAX, ARENAS);
    sl_secret_init();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us: programs' ends were lost */
    (void)umask(S_IWGRP | S_IWOTH);
}

static int failed(const struct sl_error *err, int status)
{
    sl_log_of(SL_LOG_ERROR, &(struct sl_log_about){.code = sl_errc_name(err->code)}, "%s",
              err->msg);
    return status;
}

static int run(const char *config_path)
{
    SL_AUTO(sl_loaded_config) config = NULL;
    const struct sl_daemon_options options = {.config_path = config_path};
    struct sl_error err = {0};
    sl_log_setup(SL_LOG_INFO, /* as_json= */ 0);
    if (sl_config_load(config_path, /* sources= */ NULL, &config, &err) < 0)
        return failed(&err, EXIT_USAGE);
    if (sl_daemon_run(&options, &config, &err) < 0)
        return failed(&err, EXIT_FAILED);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
                                                 {"help", no_argument, NULL, 'h'},
                                                 {"version", no_argument, NULL, 'V'},
                                                 {0}};
    const char *config_path = NULL;
    sl_daemon_block_signals();
    harden();
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): before the first thread */
    for (int c; (c = getopt_long(argc, argv, "c:hV", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            config_path = optarg;
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return EXIT_OK;
        case 'V':
            printf("sluiced %s\n", sluice_version());
            return EXIT_OK;
        default:
            (void)fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "sluiced: no argument '%s' is known\n%s", argv[optind], usage);
        return EXIT_USAGE;
    }
    return run(config_path);
}
