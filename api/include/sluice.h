/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libsluice: container images from registries into mounted root file systems, verified, decrypted
 * and unpacked on the way.
 *
 * - Functions that can fail return 0, or a negative errno and an error that explains it. The last
 *   argument, the error, may be NULL. What a function does not set on failure stays untouched.
 * - Option structs begin with their size, for members that later versions append: initialise them
 *   with SLUICE_OPTIONS(), and leave at zero what you do not want to say.
 * - What a function returns in a ret argument is the caller's, and goes with the free function
 *   named beside it; strings inside belong to it. Free functions accept NULL and return NULL.
 * - One struct sluice may be used by many threads at once. Its options are copied.
 */
#ifndef SLUICE_H
#define SLUICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLUICE_API __attribute__((visibility("default")))
#define SLUICE_MUST_CHECK __attribute__((warn_unused_result))
/* struct sluice_pull_options o = SLUICE_OPTIONS(sluice_pull_options, .image = "alpine"); */
#ifdef __cplusplus /* 20 */
#define SLUICE_OPTIONS(type, ...) (type{.size = sizeof(type), __VA_ARGS__})
#else
#define SLUICE_OPTIONS(type, ...) ((struct type){.size = sizeof(struct type), __VA_ARGS__})
#endif

SLUICE_API const char *sluice_version(void);

/* ---- errors ---- */

enum sluice_code {
    SLUICE_OK,
    SLUICE_E_SYSTEM,      /* the operating system said no: errnum tells */
    SLUICE_E_NETWORK,     /* a peer could not be reached, or broke its protocol */
    SLUICE_E_AUTH,        /* a peer refused our credentials, or wants some */
    SLUICE_E_FORMAT,      /* bytes from outside do not parse */
    SLUICE_E_INTEGRITY,   /* bytes parse and are not what was promised: digest, size, MAC */
    SLUICE_E_POLICY,      /* a rule of the operator forbids it */
    SLUICE_E_LIMIT,       /* a named limit was reached */
    SLUICE_E_UNSUPPORTED, /* well-formed, and not done here */
    SLUICE_E_CANCELLED,   /* somebody asked to stop */
};

/* A value: yours, owns nothing. */
struct sluice_error {
    enum sluice_code code;
    int errnum;        /* positive errno */
    char stage[16];    /* of the data path, "decompress"; empty elsewhere */
    char message[512]; /* one line, outermost context first, safe to print */
};
/* "integrity", "network", … */
SLUICE_API const char *sluice_code_name(enum sluice_code code);

/* ---- the engine ---- */

enum sluice_tls { SLUICE_TLS_AS_CONFIGURED, SLUICE_TLS_VERIFY, SLUICE_TLS_INSECURE };

/* How registries are spoken to. NULL members: as the machine is configured
 * (containers-auth.json(5), containers-certs.d(5), containers-registries.conf(5)). */
struct sluice_registry_options {
    size_t size;
    const char *authfile; /* path, file:// or kbs:// resource */
    const char *creds;    /* USER:PASSWORD */
    const char *cert_dir;
    const char *registries_conf;      /* path or resource */
    const char *registries_conf_text; /* contents of such a file, TOML or the same as JSON; wins */
    enum sluice_tls tls;
    const char *extra_root_certificates; /* PEM text, added to the platform's roots */
    /* Proxies. All three NULL: as the environment says; otherwise it is not looked at. */
    const char *https_proxy, *http_proxy, *no_proxy;
    const char *user_agent;
    unsigned max_attempts; /* tries for each request; 0: 5 */
};

/* Whom to ask for keys of layers and for resources (kbs:///REPOSITORY/TYPE/TAG). */
struct sluice_key_options {
    size_t size;
    const char *const *decryption_keys; /* specs as skopeo's --decryption-key, NULL-terminated */
    const char *kbc;                    /* "NAME::URI", or NULL */
    const char *offline_keys, *offline_resources; /* files of offline_fs_kbc */
    /* A confidential data hub that answers for resources and keys of every kbc this library does
     * not speak itself: a ttrpc address, "unix:///…". NULL: none. */
    const char *upstream;
    const char *key_providers; /* file; NULL: what OCICRYPT_KEYPROVIDER_CONFIG names; "": none */
    const char *pgp_home;
    bool unsafe_sample_key, allow_a256ctr;
    unsigned timeout_s; /* for each request; 0: 50 */
    /* Of sluice_keys_open(), sluice_open() and sluice_reload(): whatever waits for a broker, a hub
     * or a provider ends with SLUICE_E_CANCELLED once this descriptor is readable (borrowed, not
     * read). 0 or below: none. Pulls and the like go by their own. */
    int cancel_fd;
};

/* Which signatures an image needs. Zeroed: the machine's policy, and refusal where it has none. */
struct sluice_policy_options {
    size_t size;
    const char *policy;            /* path or resource */
    const char *policy_text;       /* its contents instead */
    const char *policy_digest;     /* that it must have: "sha256:HEX", "sha384:HEX" */
    const char *registries_d;      /* folder, file or resource */
    const char *registries_d_text; /* contents of one such file instead */
    bool insecure;                 /* accept images without any policy */
    bool compat_image_rs;          /* the policy is in the dialect of image-rs */
    bool require_signed;
};

enum sluice_parts {
    SLUICE_ALL,
    SLUICE_STORE_ONLY, /* no pulls: for those who look after what is stored */
    SLUICE_NO_STORE,   /* no pulls either: for those who verify, convert, sign, inspect */
};

struct sluice_options {
    size_t size;
    enum sluice_parts parts;
    const char *root; /* of the store; NULL: /var/lib/sluice */
    unsigned threads; /* 0: one for each core */
    size_t memory;    /* bytes of buffers, for all pulls together; 0: 64 MiB */
    const struct sluice_registry_options *registry; /* NULL: as configured */
    const struct sluice_key_options *broker; /* for registry options that are kbs:// resources */
};

struct sluice;
SLUICE_API SLUICE_MUST_CHECK int sluice_open(const struct sluice_options *options,
                                             struct sluice **ret, struct sluice_error *err);
/* Nothing may be running. */
SLUICE_API struct sluice *sluice_close(struct sluice *s);
/* Makes all that speaks to registries, now or later, fail soon with SLUICE_E_CANCELLED. What is
 * stored can still be listed, mounted, unmounted and removed. */
SLUICE_API void sluice_cancel(struct sluice *s);
/* Credentials, rules and certificates of registries are read anew. What runs goes on with the old
 * ones. On failure nothing has changed. */
SLUICE_API SLUICE_MUST_CHECK int sluice_reload(struct sluice *s,
                                               const struct sluice_registry_options *registry,
                                               const struct sluice_key_options *broker,
                                               struct sluice_error *err);

struct sluice_usage {
    size_t size;                       /* set by the caller */
    size_t buffer_bytes, buffers_peak; /* reserved now, and at most so far */
    size_t buffers_limit;
    uint64_t store_free_bytes, store_total_bytes; /* of its file system */
};
SLUICE_API void sluice_get_usage(struct sluice *s, struct sluice_usage *ret);
/* Gives memory back that only the next pull would use. Nothing need be idle. */
SLUICE_API void sluice_trim(struct sluice *s);

/* ---- pulling ---- */

struct sluice_platform {
    const char *os, *architecture, *variant; /* NULL: this machine's */
};

enum sluice_layer_state {
    SLUICE_LAYER_WAITING, /* for its turn, for memory, or for another pull that fetches it */
    SLUICE_LAYER_RUNNING,
    SLUICE_LAYER_CACHED,
    SLUICE_LAYER_DONE,
    SLUICE_LAYER_FAILED,
};
SLUICE_API const char *sluice_layer_state_name(enum sluice_layer_state state);

/* A value: never grows. */
struct sluice_stage {
    const char *name;     /* "decrypt" */
    uint64_t bytes;       /* that came in */
    uint64_t nanoseconds; /* own time */
    /* How long it, and the stages behind it that share its worker, had nothing to do for want of
     * input or of room for their output. Counted at the first of them; 0 at the others. */
    uint64_t stalled_in_ns, stalled_out_ns;
};

struct sluice_layer {
    const char *digest, *diff_id; /* "sha256:…" */
    uint64_t bytes, received;     /* of the blob */
    enum sluice_layer_state state;
    bool encrypted;
    /* How the key was wrapped that opened it; NULL: not encrypted, or not known. */
    const char *protocol, *provider, *kid, *wrap_type;
    double seconds;
    size_t n_stages; /* known when done */
    const struct sluice_stage *stages;
    /* When done: from the verdict until it was in the store, and of that the wait for the disk.
     * Layers are committed beside others, and together: sums mean nothing. */
    double commit_seconds, sync_seconds;
};

struct sluice_pull_report {
    const char *name; /* canonical: "docker.io/library/alpine:3" */
    const char *manifest, *config;
    size_t n_layers;
    const struct sluice_layer *const *layers; /* bottom first */
    double seconds;
    size_t peak_buffer_bytes;
};
SLUICE_API struct sluice_pull_report *sluice_pull_report_free(struct sluice_pull_report *report);

struct sluice_pull_options {
    size_t size;
    const char *image;  /* "alpine", "docker://…", "oci:DIR[:TAG]" */
    const char *bundle; /* folder that gets rootfs/ and config.json; NULL: store only */
    struct sluice_platform platform;
    const struct sluice_key_options *keys;
    const struct sluice_policy_options *policy;
    const char *encryption_policy; /* file; NULL: none, encryption is optional */
    bool verify_first; /* nothing is unpacked before policy and blob digest have passed */
    unsigned jobs;     /* layers at once; 0: 4 */

    /* The pull ends with SLUICE_E_CANCELLED once this descriptor is readable (an eventfd; borrowed,
     * not read). 0 or below: none. */
    int cancel_fd;
    /* Called on the pulling thread at most a few times a second, and once at the end. */
    void (*progress)(void *arg, const struct sluice_pull_report *report);
    /* Called once, on the pulling thread, when the name has been resolved and nothing else was
     * asked for: other than 0 ends the pull with SLUICE_E_CANCELLED. */
    int (*resolved)(void *arg, const char *name, const char *manifest);
    void *arg;
    /* File that gets a trace of the pull, also of one that fails, for ui.perfetto.dev or
     * chrome://tracing. One that cannot be written fails the pull before anybody is asked. */
    const char *trace;
};
/* *ret may be NULL. On failure nothing of a layer that did not pass every check, and no mount,
 * remains. Layers that passed stay where the network failed or the pull was cancelled. */
SLUICE_API SLUICE_MUST_CHECK int sluice_pull(struct sluice *s,
                                             const struct sluice_pull_options *options,
                                             struct sluice_pull_report **ret,
                                             struct sluice_error *err);

/* ---- judging ---- */

struct sluice_verify_options {
    size_t size;
    const char *image;
    struct sluice_platform platform;
    const struct sluice_policy_options *policy;
    const struct sluice_key_options *keys; /* the broker, for resources */
    int cancel_fd;                         /* as of a pull */
};
/* 0: allowed. *ret (may be NULL; to be freed with free()), a JSON object that tells of every
 * requirement and signature, is set wherever there was a judgement, also a denial. */
SLUICE_API SLUICE_MUST_CHECK int sluice_verify(struct sluice *s,
                                               const struct sluice_verify_options *options,
                                               char **ret, struct sluice_error *err);

/* ---- what is stored ---- */

struct sluice_image {
    const char *name; /* or NULL */
    const char *manifest, *config;
    size_t n_layers;
    const char *const *diff_ids; /* bottom first */
    bool encrypted;              /* some layer came encrypted */
    uint64_t bytes;              /* of the blobs as sent */
    int64_t pulled;              /* seconds since the epoch */
    const char *verdict;         /* JSON: why it was let in; NULL: not known */
};
struct sluice_image_list {
    size_t n;
    const struct sluice_image *const *images; /* sorted by name */
};
SLUICE_API SLUICE_MUST_CHECK int sluice_list(struct sluice *s, struct sluice_image_list **ret,
                                             struct sluice_error *err);
SLUICE_API struct sluice_image_list *sluice_image_list_free(struct sluice_image_list *list);

struct sluice_mount {
    const char *target, *manifest;
    bool alive; /* mounted right now */
};
struct sluice_mount_list {
    size_t n;
    const struct sluice_mount *const *mounts;
};
SLUICE_API SLUICE_MUST_CHECK int
sluice_list_mounts(struct sluice *s, struct sluice_mount_list **ret, struct sluice_error *err);
SLUICE_API struct sluice_mount_list *sluice_mount_list_free(struct sluice_mount_list *list);

/* image, here and below: a name in any spelling, or a digest (6 digits of its hex are enough). */
SLUICE_API SLUICE_MUST_CHECK int sluice_remove(struct sluice *s, const char *image, bool force,
                                               struct sluice_error *err);
/* At an empty directory, which is made if missing. No policy is asked, here and below: an image is
 * mounted if it is in the store, however long ago it was let in and whatever the policy says of it
 * today. sluice_pull() judges anew each time, also what is stored; whoever wants that pulls, and
 * mounts by the bundle of the pull or by the manifest of its report. */
SLUICE_API SLUICE_MUST_CHECK int sluice_mount(struct sluice *s, const char *image,
                                              const char *target, bool read_only,
                                              struct sluice_error *err);
/* BUNDLE/rootfs and BUNDLE/config.json. Doing it again for the same image is no error. 1 when it
 * was mounted there before. */
SLUICE_API SLUICE_MUST_CHECK int sluice_mount_bundle(struct sluice *s, const char *image,
                                                     const char *bundle, struct sluice_error *err);
/* Of a mount point or a bundle; what was written to it goes. */
SLUICE_API SLUICE_MUST_CHECK int sluice_unmount(struct sluice *s, const char *target,
                                                struct sluice_error *err);
struct sluice_gc_result {
    size_t size; /* set by the caller */
    unsigned layers, blobs, images, staging;
    uint64_t bytes;
};
/* What was written to mounts that are no more goes, and nothing else: cheap. *ret, which may be
 * NULL, is how many there were. */
SLUICE_API SLUICE_MUST_CHECK int sluice_forget_dead_mounts(struct sluice *s, unsigned *ret,
                                                           struct sluice_error *err);
/* What nothing refers to goes; also what was written to mounts that are no more. */
SLUICE_API SLUICE_MUST_CHECK int sluice_gc(struct sluice *s, bool dry_run,
                                           struct sluice_gc_result *ret, struct sluice_error *err);

/* ---- other places ---- */

struct sluice_convert_layer {
    const char *from, *to; /* digests */
    uint64_t bytes, done;
    const char *action; /* "copied", "encrypted", "decrypted", "recipients added" */
    bool skipped;
    double seconds;
};
struct sluice_convert_report {
    const char *source, *destination, *digest;
    bool is_index;
    size_t n_images, n_dropped, n_layers;
    const struct sluice_convert_layer *const *layers;
    double seconds;
    size_t peak_buffer_bytes;
};
SLUICE_API struct sluice_convert_report *
sluice_convert_report_free(struct sluice_convert_report *report);

struct sluice_convert_options {
    size_t size;
    const char *source, *destination;
    const struct sluice_registry_options *destination_registry; /* NULL: as the engine's */
    bool one_platform;
    struct sluice_platform platform;
    const struct sluice_key_options *keys;
    unsigned jobs;
    /* Of encryption. */
    const char *const *encryption_keys; /* NULL-terminated */
    const int *layers;                  /* which, negative from the end; NULL: all */
    size_t n_layers;
    const char *recipient_pgp_home;
    bool allow_a256ctr;
    int cancel_fd;
    void (*progress)(void *arg, const struct sluice_convert_report *report);
    void *arg;
};
/* Nothing becomes visible at the destination unless everything succeeded. */
SLUICE_API SLUICE_MUST_CHECK int sluice_encrypt(struct sluice *s,
                                                const struct sluice_convert_options *options,
                                                struct sluice_convert_report **ret,
                                                struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK int sluice_decrypt(struct sluice *s,
                                                const struct sluice_convert_options *options,
                                                struct sluice_convert_report **ret,
                                                struct sluice_error *err);

enum sluice_sign_form {
    SLUICE_SIGN_SIMPLE = 1 << 0, /* OpenPGP, in a lookaside */
    SLUICE_SIGN_COSIGN = 1 << 1, /* the tag sha256-HEX.sig */
    SLUICE_SIGN_BUNDLE = 1 << 2, /* a sigstore bundle */
};
struct sluice_sign_options {
    size_t size;
    const char *image;
    bool one_platform, recursive;
    struct sluice_platform platform;
    const char *identity;
    const char *passphrase_file;
    const char *gpg_key, *pgp_home, *registries_d;
    const char *key;
    unsigned forms; /* bits; 0: those of the key */
    int cancel_fd;
};
struct sluice_signature {
    enum sluice_sign_form form;
    const char *digest, *where;
};
struct sluice_sign_report {
    const char *name;
    size_t n;
    const struct sluice_signature *const *signatures;
};
SLUICE_API SLUICE_MUST_CHECK int sluice_sign(struct sluice *s,
                                             const struct sluice_sign_options *options,
                                             struct sluice_sign_report **ret,
                                             struct sluice_error *err);
SLUICE_API struct sluice_sign_report *sluice_sign_report_free(struct sluice_sign_report *report);

/* What a registry or layout says of an image, verified, as it was sent. */
struct sluice_documents {
    const char *name;
    const char *manifest_digest, *index_digest; /* the latter NULL: there is none */
    const char *index, *manifest, *config;      /* texts, NUL-terminated */
    size_t index_size, manifest_size, config_size;
};
struct sluice_inspect_options {
    size_t size;
    const char *image;
    struct sluice_platform platform;
    int cancel_fd; /* as of a pull */
};
SLUICE_API SLUICE_MUST_CHECK int sluice_inspect(struct sluice *s,
                                                const struct sluice_inspect_options *options,
                                                struct sluice_documents **ret,
                                                struct sluice_error *err);
SLUICE_API struct sluice_documents *sluice_documents_free(struct sluice_documents *documents);

/* ---- keys and resources ---- */

/* Everybody who may answer for a key, kept open. Its functions block until they are answered, run
 * out of time, or are cancelled by the options' cancel_fd, which must live as long. */
struct sluice_keys;
SLUICE_API SLUICE_MUST_CHECK int sluice_keys_open(const struct sluice_key_options *options,
                                                  struct sluice_keys **ret,
                                                  struct sluice_error *err);
SLUICE_API struct sluice_keys *sluice_keys_close(struct sluice_keys *keys);
/* The broker's name, "offline_fs_kbc"; NULL: there is none. */
SLUICE_API const char *sluice_keys_broker(const struct sluice_keys *keys);
/* *ret is to be wiped and freed with sluice_secret_free(). */
SLUICE_API SLUICE_MUST_CHECK int sluice_keys_get_resource(struct sluice_keys *keys, const char *uri,
                                                          void **ret, size_t *ret_size,
                                                          struct sluice_error *err);
/* The annotation packet of a layer's key: to the key's own document, and back. params: as of
 * coco_keyprovider, "keypath=FILE::keyid=kbs:///…". */
SLUICE_API SLUICE_MUST_CHECK int sluice_keys_unwrap(struct sluice_keys *keys, const void *packet,
                                                    size_t packet_size, void **ret,
                                                    size_t *ret_size, struct sluice_error *err);
SLUICE_API SLUICE_MUST_CHECK int sluice_keys_wrap(struct sluice_keys *keys, const char *params,
                                                  const void *document, size_t document_size,
                                                  void **ret, size_t *ret_size,
                                                  struct sluice_error *err);
SLUICE_API void *sluice_secret_free(void *secret, size_t size);

#ifdef __cplusplus
}
#endif
#endif
