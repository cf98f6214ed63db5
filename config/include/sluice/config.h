/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service is told: the confidential data hub's own file (TOML, or JSON when its name ends
 * in .json), the kernel's command line, the environment, and a table [sluice] for what is ours.
 * Each value knows where it came from.
 */
#pragma once

#include "sluice/core/bytes.h"

enum sl_config_origin {
    SL_CONFIG_DEFAULT,
    SL_CONFIG_FILE,
    SL_CONFIG_KERNEL, /* /proc/cmdline */
    SL_CONFIG_ENVIRONMENT,
};

enum sl_keep { SL_KEEP_ALL, SL_KEEP_MOUNTED }; /* images that no mount uses any more */

/* What the credential files lie below. */
#define SL_CREDENTIALS_ROOT "/run/confidential-containers/cdh/kbs"

struct sl_credential_file {
    char *path, *resource_uri; /* where it goes, and what it is */
};

/* Strings are owned; NULL where nothing was said and there is no default. */
struct sl_config {
    /* Of the hub. */
    char *socket; /* as an address of rpc.h */
    char *kbc_name, *kbc_url, *kbs_cert;
    char *aa_socket; /* a ttrpc target of rpc.h */
    struct sl_credential_file *credentials;
    size_t n_credentials;
    char *log_level;                      /* "error", "warn", "info", "debug", "trace" */
    bool skip_sealed_secret_verification; /* the upstream's business; told by check */

    /* [image] */
    char *work_dir; /* the root of the store */
    char *image_security_policy_uri, *image_security_policy;
    char *sigstore_config_uri, *sigstore_config;
    char *authenticated_registry_credentials_uri;
    char *registry_configuration_uri;
    char *registry_config; /* the inline table, as JSON text; beats the URI */
    unsigned max_concurrent_layer_downloads_per_image;
    char *https_proxy, *http_proxy, *no_proxy;
    char *extra_root_certificates; /* all of them, PEM */

    /* [sluice] */
    char **listen;       /* more addresses of rpc.h, NULL-terminated, or NULL */
    char *control;       /* address of rpc.h; "" none */
    char *metrics;       /* "unix:///PATH", "127.0.0.1:PORT"; NULL: none */
    char *upstream;      /* ttrpc target of a hub that does the rest; NULL: none */
    uint64_t memory;     /* bytes of buffers */
    unsigned workers;    /* 0: one for each core */
    unsigned pulls;      /* at once */
    char **bundle_roots; /* absolute, NULL-terminated */
    char *pause_bundle;  /* folder */
    enum sl_keep keep;
    bool evict; /* images that nothing uses, for room */
    char *policy_digest;
    bool policy_dialect_image_rs;
    bool require_policy; /* without one, nothing is pulled */
    bool require_signed;
    bool verify_first;
    char *encryption_policy; /* file */
    char *offline_keys, *offline_resources, *key_providers, *pgp_home;
    bool unsafe_sample_key, allow_a256ctr;
    unsigned key_timeout_s;
    bool log_json;
    unsigned progress_s; /* between lines of the progress log; 0: none */
    unsigned drain_s;    /* for pulls that run when the service is told to end */
};

/* Where things are read from; zeroed: the machine's. For tests. */
struct sl_config_sources {
    const char *cmdline;                          /* file; NULL: /proc/cmdline */
    const char *(*environment)(const char *name); /* NULL: sl_environment_get() */
};

/* Said in both ways of which one wins, the other is NULL here: [image]'s URI of a policy or of a
 * sigstore configuration beats the inline text, its inline registry_config the URI. */

/* One line of what applies, values without passwords, "" where there is none: "image.work_dir", its
 * value as text, and where it came from
 * ("cdh.toml: line 12", "kernel: agent.https_proxy", "environment: AA_KBC_PARAMS", "default"). */
struct sl_config_line {
    char *key, *value, *origin;
    enum sl_config_origin from;
};

struct sl_loaded_config {
    struct sl_config values;
    struct sl_config_line *lines;
    size_t n_lines;
    /* In the order in which they were met; at most a hundred and a word on the rest. */
    char **warnings; /* "cdh.toml: line 3: image.default_snapshto: unknown key, ignored";
                        NULL-terminated */
};
/* path NULL: no file. JSON when it ends in .json, else TOML. Nothing is contacted and no file of
 * the values is opened. SL_E_FORMAT, SL_E_LIMIT: what is wrong, with file and line; SL_E_SYSTEM: a
 * file could not be read. */
SL_MUST_CHECK int sl_config_load(const char *path, const struct sl_config_sources *sources,
                                 struct sl_loaded_config **ret, struct sl_error *err);
struct sl_loaded_config *sl_config_free(struct sl_loaded_config *config);
SL_DEFINE_AUTO(sl_loaded_config, sl_config_free)
