/* SPDX-License-Identifier: Apache-2.0 */
/* The program: one file for each verb, one table of options. */
#pragma once

#include "sluice.h"
#include "sluice/api_error.h"
#include "sluice/core/json_writer.h"

enum verb_bits {
    VERB_PULL = 1 << 0,
    VERB_INSPECT = 1 << 1,
    VERB_IMAGES = 1 << 2,
    VERB_MOUNT = 1 << 3,
    VERB_UNMOUNT = 1 << 4,
    VERB_RM = 1 << 5,
    VERB_GC = 1 << 6,
    VERB_VERSION = 1 << 7,
    VERB_ENCRYPT = 1 << 8,
    VERB_DECRYPT = 1 << 9,
    VERB_KEYS = 1 << 10,
    VERB_KEYPROVIDER = 1 << 11,
    VERB_VERIFY = 1 << 12,
    VERB_SIGN = 1 << 13,
    VERB_STATUS = 1 << 14,
    VERB_CTL = 1 << 15,
    VERB_CONFIG = 1 << 16,

    VERB_CONVERT = VERB_ENCRYPT | VERB_DECRYPT,
    VERB_REMOTE = VERB_PULL | VERB_INSPECT | VERB_CONVERT | VERB_KEYS | VERB_VERIFY | VERB_SIGN,
    VERB_OPEN = VERB_PULL | VERB_CONVERT,       /* those that may need keys */
    VERB_BROKER = VERB_OPEN | VERB_KEYPROVIDER, /* those that ask a key broker */
    VERB_RESOURCE = VERB_BROKER | VERB_REMOTE,  /* those that ask it for files */
    VERB_JUDGE = VERB_PULL | VERB_VERIFY,       /* those that ask a signature policy */
    VERB_CONTROL = VERB_STATUS | VERB_CTL,      /* those that ask a running service */
    VERB_STORE = VERB_PULL | VERB_IMAGES | VERB_MOUNT | VERB_UNMOUNT | VERB_RM | VERB_GC,
    VERB_ALL = ~0,
};

SL_DEFINE_AUTO(sluice, sluice_close)
SL_DEFINE_AUTO(sluice_pull_report, sluice_pull_report_free)
SL_DEFINE_AUTO(sluice_image_list, sluice_image_list_free)
SL_DEFINE_AUTO(sluice_convert_report, sluice_convert_report_free)
SL_DEFINE_AUTO(sluice_sign_report, sluice_sign_report_free)
SL_DEFINE_AUTO(sluice_documents, sluice_documents_free)

/* The command line of one verb. Strings are borrowed from argv. */
struct cli_options {
    const char *root;
    struct sluice_registry_options registry;
    struct sluice_platform platform;
    struct sluice_registry_options source_registry, destination_registry; /* beside registry */
    struct sluice_key_options keys; /* its lists are the following */
    const char **decryption_keys;   /* NULL-terminated, owned */
    const char **encryption_keys;   /* NULL-terminated, owned */
    const char **listen;            /* NULL-terminated, owned */
    int *encrypt_layers;            /* owned */
    size_t n_encrypt_layers;
    const char *encryption_policy, *repository, *trace;
    struct sluice_policy_options policy;
    const char *sign_key, *gpg_key, *sign_identity, *passphrase_file;
    unsigned sign_forms; /* of enum sluice_sign_form; 0: not said */
    unsigned number;
    bool recursive, verify_first, stats, raw, config, read_only, force, dry_run;
    const char *socket;
    bool listen_anywhere, strict, watch, json, quiet, debug, help;
    unsigned jobs;
    size_t memory;
    char *const *args; /* positional, NULL-terminated */
    int n_args;
};

struct cli_verb {
    const char *name;
    unsigned bit;
    const char *arguments; /* as printed in the help */
    int min_args, max_args;
    const char *summary;
    int (*run)(const struct cli_options *options, struct sl_error *err);
    /* What the table of options cannot say of the command line; or NULL. */
    int (*check)(const struct cli_options *options, struct sl_error *err);
};

/* The table, ended by a NULL name. */
extern const struct cli_verb cli_verbs[];

int verb_pull(const struct cli_options *o, struct sl_error *err);
int verb_verify(const struct cli_options *o, struct sl_error *err);
int verb_sign(const struct cli_options *o, struct sl_error *err);
int verb_sign_check(const struct cli_options *o, struct sl_error *err);
int verb_inspect(const struct cli_options *o, struct sl_error *err);
int verb_images(const struct cli_options *o, struct sl_error *err);
int verb_mount(const struct cli_options *o, struct sl_error *err);
int verb_unmount(const struct cli_options *o, struct sl_error *err);
int verb_rm(const struct cli_options *o, struct sl_error *err);
int verb_gc(const struct cli_options *o, struct sl_error *err);
int verb_encrypt(const struct cli_options *o, struct sl_error *err);
int verb_encrypt_check(const struct cli_options *o, struct sl_error *err);
int verb_decrypt(const struct cli_options *o, struct sl_error *err);
int verb_keyprovider(const struct cli_options *o, struct sl_error *err);
int verb_keyprovider_check(const struct cli_options *o, struct sl_error *err);
int verb_keys(const struct cli_options *o, struct sl_error *err);
int verb_keys_check(const struct cli_options *o, struct sl_error *err);
int verb_config(const struct cli_options *o, struct sl_error *err);
int verb_config_check(const struct cli_options *o, struct sl_error *err);
int verb_status(const struct cli_options *o, struct sl_error *err);
int verb_ctl(const struct cli_options *o, struct sl_error *err);
int verb_ctl_check(const struct cli_options *o, struct sl_error *err);
int verb_version(const struct cli_options *o, struct sl_error *err);

/* options.c: argv without the program and the verb. -EINVAL on a usage error. */
SL_MUST_CHECK int cli_options_parse(const struct cli_verb *verb, int argc, char **argv,
                                    struct cli_options *ret, struct sl_error *err);
void cli_options_done(struct cli_options *o);
/* The options of both sides, with those of one side in front. */
struct sluice_registry_options cli_registry_for(const struct cli_options *o,
                                                const struct sluice_registry_options *side);
/* What the table of options cannot say of those that ask a signature policy. */
SL_MUST_CHECK int cli_check_policy(const struct cli_options *o, struct sl_error *err);
/* help.c */
void cli_print_help(void);
void cli_print_verb_help(const struct cli_verb *verb);

/* verb_inspect.c: what a registry or layout says of an image, and its manifest. */
SL_MUST_CHECK int cli_inspect(const struct cli_options *o, const char *image,
                              struct sluice_documents **ret, struct sl_error *err);
struct sl_manifest;
SL_MUST_CHECK int cli_parse_manifest(const struct sluice_documents *image, struct sl_manifest **ret,
                                     struct sl_error *err);

/* output.c: the library without what speaks to registries, at the root that was named. */
SL_MUST_CHECK int cli_open_store(const struct cli_options *o, struct sluice **ret,
                                 struct sl_error *err);
/* The hex of a digest as text, of which people see the beginning. */
const char *cli_digest_hex(const char *digest);
/* A size for people, "12.3 MB"; out has room for 16 bytes. */
const char *cli_format_size(uint64_t bytes, char out[16]);
/* A JSON document to stdout, its text in the strings of it harmless to terminals. */
SL_MUST_CHECK int cli_print_json_text(struct sl_span json, struct sl_error *err);
/* Ends one that is being written, and prints it. */
SL_MUST_CHECK int cli_print_json(struct sl_json_writer *w, struct sl_error *err);
