/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "exit_codes.h"
#include "sluice/core/log.h"
#include "sluice/core/secret.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

const struct cli_verb cli_verbs[] = {
    {"pull", VERB_PULL, "IMAGE [BUNDLE]", 1, 2,
     "bring an image into the store, and mount it at BUNDLE/rootfs", verb_pull, cli_check_policy},
    {"verify", VERB_VERIFY, "IMAGE", 1, 1, "say whether the signature policy allows an image",
     verb_verify, cli_check_policy},
    {"sign", VERB_SIGN, "IMAGE", 1, 1, "put a signature beside an image", verb_sign,
     verb_sign_check},
    {"inspect", VERB_INSPECT, "IMAGE", 1, 1, "show what a registry or layout says of an image",
     verb_inspect, NULL},
    {"encrypt", VERB_ENCRYPT, "SOURCE DESTINATION", 2, 2,
     "bring an image to another place, its layers encrypted", verb_encrypt, verb_encrypt_check},
    {"decrypt", VERB_DECRYPT, "SOURCE DESTINATION", 2, 2,
     "bring an image to another place, its layers decrypted", verb_decrypt, NULL},
    {"keys", VERB_KEYS, "generate|export|show ...", 1, 4,
     "make keys, and show what an image's layers are encrypted for", verb_keys, verb_keys_check},
    {"keyprovider", VERB_KEYPROVIDER, "", 0, 0, "wrap and unwrap layer keys for other programs",
     verb_keyprovider, verb_keyprovider_check},
    {"images", VERB_IMAGES, "", 0, 0, "list the images of the store", verb_images, NULL},
    {"mount", VERB_MOUNT, "IMAGE TARGET", 2, 2, "mount a stored image at TARGET", verb_mount, NULL},
    {"unmount", VERB_UNMOUNT, "TARGET|BUNDLE", 1, 1, "unmount it and remove what was written to it",
     verb_unmount, NULL},
    {"rm", VERB_RM, "IMAGE...", 1, 1024, "remove names of images; gc frees the space", verb_rm,
     NULL},
    {"gc", VERB_GC, "", 0, 0, "remove what nothing refers to", verb_gc, NULL},
    {"status", VERB_STATUS, "", 0, 0, "say what the running service does and holds", verb_status,
     NULL},
    {"ctl", VERB_CTL, "cancel|reload [ID|IMAGE]", 1, 2, "tell the running service to do something",
     verb_ctl, verb_ctl_check},
    {"config", VERB_CONFIG, "check [FILE]", 1, 2, "say what a configuration of the service means",
     verb_config, verb_config_check},
    {"version", VERB_VERSION, "", 0, 0, "print the version", verb_version, NULL},
    {0},
};

static const struct cli_verb *find_verb(const char *name)
{
    for (const struct cli_verb *v = cli_verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

/* One line, or one object, to stderr. */
static void print_error(const struct sl_error *err, bool json)
{
    SL_AUTO(sl_json_writer) w = json ? sl_json_writer_new(/* pretty= */ false) : NULL;
    SL_AUTO_DONE(sl_bytes) text = {0};
    sl_json_put_string(w, "level", "error");
    sl_json_put_string(w, "code", sl_errc_name(err->code));
    if (err->stage)
        sl_json_put_string(w, "stage", err->stage);
    sl_json_put_string(w, "message", err->msg);
    if (w && sl_json_end(w, &text, NULL) == 0)
        fputs((const char *)text.data, stderr);
    else
        fprintf(stderr, "sluice: %s\n", err->msg);
}

static int usage(const struct sl_error *err)
{
    fprintf(stderr, "sluice: %s\n", err->msg);
    return EXIT_USAGE;
}

/* Keys are in memory: a locked heap for them, and no core dumps. Each layer of an image holds a few
 * descriptors. */
static void harden(void)
{
    static const struct rlimit none = {0};
    struct rlimit files;
    (void)setrlimit(RLIMIT_CORE, &none); /* for the programs it runs, too */
    (void)prctl(PR_SET_DUMPABLE, 0);
    sl_secret_init();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    struct cli_options options;
    struct sl_error err = {0};
    int r = cli_options_parse(verb, argc, argv, &options, &err);
    if (r < 0)
        return usage(&err);
    /* Scripts that ask verify quietly want the exit code alone. */
    bool silent = options.quiet && verb->bit == VERB_VERIFY;
    enum sl_log_level level = silent ? SL_LOG_ERROR : SL_LOG_WARN;
    sl_log_setup(options.debug ? SL_LOG_DEBUG : level, options.json);
    int code = EXIT_DONE;
    if (options.help)
        cli_print_verb_help(verb);
    else if (verb->run(&options, &err) < 0) {
        code = exit_code_of(err.code);
        if (!silent)
            print_error(&err, options.json);
    }
    cli_options_done(&options);
    return code;
}

int main(int argc, char **argv)
{
    harden();
    if (argc < 2) {
        cli_print_help();
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        const struct cli_verb *about = argc > 2 ? find_verb(argv[2]) : NULL;
        if (about)
            cli_print_verb_help(about);
        else
            cli_print_help();
        return EXIT_DONE;
    }
    const struct cli_verb *verb = find_verb(strcmp(name, "--version") == 0 ? "version" : name);
    if (!verb) {
        struct sl_error err;
        (void)sl_error_set(&err, SL_E_FORMAT, EINVAL, "unknown verb '%s'; see sluice --help", name);
        return usage(&err);
    }
    return run_verb(verb, argc - 1, argv + 1);
}
