/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roof: pulling an image, and what a program does with pulled images. The one header that
 * cli/ and service/ need for the data path.
 */
#pragma once

#include "sluice/image_source.h"
#include "sluice/overlay_mount.h"
#include "sluice/signature_policy.h"

#define SL_STORE_ROOT_DEFAULT "/var/lib/sluice"

struct sl_key_options;

struct sl_engine_options {
    const char *root; /* of the store; NULL: SL_STORE_ROOT_DEFAULT */
    bool storeless;   /* for those who only bring images from one place to another: no store */
    unsigned threads; /* workers; 0: one for each core */
    size_t memory;    /* bytes of the buffer pool; 0: SL_BUF_POOL_DEFAULT */
    struct sl_registry_options registry;
    const struct sl_key_options *broker; /* as for sl_registry_open() */
};

/* What all pulls of a process share: workers, buffers, connections, the store. Any thread may
 * pull with it. */
struct sl_engine;
SL_MUST_CHECK int sl_engine_new(const struct sl_engine_options *options, struct sl_engine **ret,
                                struct sl_error *err);
/* No pull may be running. */
struct sl_engine *sl_engine_free(struct sl_engine *engine);
SL_DEFINE_AUTO(sl_engine, sl_engine_free)
/* Makes every running and later pull fail soon with SL_E_CANCELLED. Any thread. */
void sl_engine_cancel(struct sl_engine *engine);
/* Registries are spoken to with new options from now on; what runs goes on with the old ones, which
 * go with the last of it. On failure nothing has changed. */
SL_MUST_CHECK int sl_engine_reload(struct sl_engine *engine,
                                   const struct sl_registry_options *registry,
                                   const struct sl_key_options *broker, struct sl_error *err);
struct sl_store *sl_engine_store(struct sl_engine *engine);
struct sl_buf_pool *sl_engine_buffers(struct sl_engine *engine);

enum sl_layer_state {
    SL_LAYER_WAITING, /* for its turn, for memory, or for another process that fetches it */
    SL_LAYER_RUNNING, /* bytes are on their way into staging */
    SL_LAYER_CACHED,  /* was in the store, and the caller may have it */
    SL_LAYER_DONE,    /* verified and committed */
    SL_LAYER_FAILED,
};

enum { SL_LAYER_STAGES_MAX = 8 };

/* One layer, as far as anybody outside may know. */
struct sl_layer_report {
    struct sl_digest blob, diff_id;
    uint64_t size;     /* bytes of the blob */
    uint64_t received; /* of them so far */
    enum sl_layer_state state;
    bool encrypted;
    /* How the key was wrapped that opened it; NULL when not encrypted or not known. Static, or
     * owned by the report. */
    const char *protocol;  /* "jwe" */
    const char *provider;  /* the provider's name */
    const char *kid;       /* as written in the image */
    const char *wrap_type; /* "A256GCM" */
    double seconds;        /* from the first request to the verdict */
    double began;          /* seconds of the pull until that request */
    double commit_seconds; /* of them none above: from the verdict until it was in the store. Layers
                            * are committed beside others, and together */
    double sync_seconds;   /* of those: for the disk, with the layers that were committed with it */
    size_t n_stages;       /* known when done */
    struct {
        const char *name;
        struct sl_stage_stats stats;
    } stages[SL_LAYER_STAGES_MAX];
};

struct sl_pull_report {
    const char *name; /* canonical */
    struct sl_digest manifest, config;
    size_t n_layers;
    const struct sl_layer_report *layers; /* bottom first */
    double seconds;
    size_t peak_buffers_bytes;
};

/* Whom to ask for the keys of encrypted layers. Zero members mean none, or the default. */
struct sl_key_options {
    const char *const *decryption_keys;           /* specs, NULL-terminated */
    const char *kbc;                              /* "NAME::URI"; NULL: PARAMS of a decryption key
                                                   * "provider:attestation-agent:NAME::URI", if any */
    const char *offline_keys, *offline_resources; /* files of offline_fs_kbc */
    /* ttrpc target of a confidential data hub that answers for the resources and keys of every
     * broker we do not speak ourselves (api.GetResourceService); NULL: none. */
    const char *upstream;
    const char *key_providers; /* file; NULL: what OCICRYPT_KEYPROVIDER_CONFIG names; "": none */
    const char *pgp_home;      /* gnupg home directory; NULL: none for unwrapping */
    bool unsafe_sample_key;    /* sample_kbc and sample=true: a key that everybody knows */
    bool allow_a256ctr;        /* packets that anybody on the way can change bit by bit */
    unsigned timeout_s;        /* for each request to a broker or provider; 0: 50 */
    int cancel_fd;             /* ends those of sl_registry_open(); 0 or below: none */
};

/* sl_registry_new() for options whose authfile and registries_conf may be resources too
 * (kbs:///repository/type/tag, file:///path): broker, which may be NULL, says whom to ask. */
SL_MUST_CHECK int sl_registry_open(const struct sl_registry_options *options,
                                   const struct sl_key_options *broker, struct sl_registry **ret,
                                   struct sl_error *err);

/* Which signatures an image needs. A zeroed one means the machine's policy, and refusal where it
 * has none. Files and resources are read, and the pin is checked, before anything of the image is
 * fetched; resources come from the key broker. */
struct sl_policy_options {
    const char *policy;            /* file or resource; NULL: SL_SIGNATURE_POLICY_PATH */
    const char *policy_text;       /* its contents instead; or NULL */
    const char *policy_digest;     /* it must have: see sl_pinned_digest_check(); NULL: any */
    const char *registries_d;      /* folder, file or resource; NULL: SL_REGISTRIES_D_PATH */
    const char *registries_d_text; /* contents of one such file instead; or NULL */
    bool insecure;        /* accept images without any policy; goes with none of the others */
    bool compat_image_rs; /* the policy is in the dialect of image-rs */
    bool require_signed;  /* refuse a policy, and a verdict, in which nothing is verified */
};

struct sl_pull_options {
    const char *image;           /* as the user wrote it */
    const char *bundle;          /* folder that gets rootfs/ and config.json; NULL: store only */
    struct sl_platform platform; /* NULL members: this machine's */
    struct sl_key_options keys;
    const char *encryption_policy; /* file; NULL: none, encryption is optional */
    struct sl_policy_options policy;
    bool verify_first; /* no layer starts before the policy has allowed the image, and no
                        * decompressor sees a byte before its blob is verified */
    unsigned jobs;     /* layers at once; 0: 4 */
    int cancel_fd;     /* ends this pull alone (core/cancel.h; borrowed) */
    const char *trace; /* file that gets a trace of it (core/trace.h), also when it fails; NULL:
                        * none. One that cannot be written fails the pull before anybody is asked */
    /* Called once, on the pulling thread, when the name is resolved and nothing else was asked for:
     * other than 0 ends the pull with SL_E_CANCELLED. */
    int (*resolved)(void *arg, const char *name, const struct sl_digest *manifest);
    /* Called on the pulling thread at most a few times a second, and once at the end. Both with
     * progress_arg. */
    void (*progress)(void *arg, const struct sl_pull_report *report);
    void *progress_arg;
};

/* The whole story: policy, resolve, judgement, keys, layers, commit, mount. *ret may be NULL;
 * otherwise the report is the caller's, to be freed. On failure nothing of a layer that did not
 * pass every check, and no mount, remains; layers that passed stay if the network failed. Nothing
 * at all of an image that the policy denies: SL_E_POLICY, or SL_E_NETWORK when it might be allowed
 * once its signatures can be read. */
SL_MUST_CHECK int sl_pull_image(struct sl_engine *engine, const struct sl_pull_options *options,
                                struct sl_pull_report **ret, struct sl_error *err);
struct sl_pull_report *sl_pull_report_free(struct sl_pull_report *report);
SL_DEFINE_AUTO(sl_pull_report, sl_pull_report_free)

/* Mounts a stored image at BUNDLE/rootfs and writes BUNDLE/config.json. Doing it again for the
 * same image is no error: 1 when it was mounted there before. */
SL_MUST_CHECK int sl_bundle_mount(struct sl_store *store, const struct sl_image_record *image,
                                  const char *bundle, struct sl_error *err);

struct sl_verify_options {
    const char *image;           /* as the user wrote it */
    struct sl_platform platform; /* NULL members: this machine's */
    struct sl_policy_options policy;
    struct sl_key_options keys; /* the broker, for resources; no key of a layer is asked for */
    int cancel_fd;              /* as of a pull */
};

/* A pull's judgement and nothing else: no layer is fetched, and the engine may be storeless. 0:
 * allowed. *ret, the caller's, is set wherever there was a judgement, also when it was denied; set
 * it to NULL before. */
SL_MUST_CHECK int sl_verify_image(struct sl_engine *engine, const struct sl_verify_options *options,
                                  struct sl_policy_verdict **ret, struct sl_error *err);

/* What a registry or layout says of an image: all documents, verified, and nothing stored.
 * cancel_fd: as of a pull. */
struct sl_inspected_image {
    char *name; /* canonical */
    struct sl_resolved_image *image;
};
SL_MUST_CHECK int sl_inspect_image(struct sl_engine *engine, const char *image,
                                   const struct sl_platform *platform, int cancel_fd,
                                   struct sl_inspected_image *ret, struct sl_error *err);
void sl_inspected_image_done(struct sl_inspected_image *inspected);
SL_DEFINE_AUTO_DONE(sl_inspected_image, sl_inspected_image_done)
