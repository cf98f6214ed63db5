/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image comes from: a registry (docker://, the default) or an OCI layout on disk
 * (oci:DIR[:TAG|@DIGEST]). Both give the same documents and the same stream of bytes.
 */
#pragma once

#include "sluice/core/flow.h"
#include "sluice/manifest.h"

struct sl_registry_options {
    const char *authfile;        /* --authfile; ends the search for credentials */
    const char *auth_json;       /* contents of an auth file, instead of any file; or NULL */
    const char *creds;           /* --creds USER:PASSWORD; beats auth_json and every file */
    const char *cert_dir;        /* --cert-dir; instead of the certs.d folders */
    const char *registries_conf; /* --registries-conf; instead of the system's */
    /* Contents of such a file, TOML or the same as a JSON object, instead of any; or NULL. Unlike a
     * file they are read at once. */
    const char *registries_conf_text;
    bool insecure;     /* --tls-verify=false: no verification, plain HTTP allowed */
    bool force_secure; /* --tls-verify=true: beats "insecure" of the configuration */
    const char *extra_root_certificates; /* PEM text, added to the platform's roots; or NULL */
    /* URLs of proxies, "http://[USER:PASSWORD@]HOST[:PORT]", for https:// and for http://; and who
     * is asked directly: names, domains, addresses and networks (10.0.0.0/8) with commas between.
     * With one of the first two the environment is not looked at; no_proxy alone does nothing. */
    const char *https_proxy, *http_proxy, *no_proxy;
    const char *user_agent; /* NULL: "sluice/VERSION" */
    unsigned max_attempts;  /* tries per request; 0: 5 */
};

/* The HTTP engine: one loop thread with connections, tokens and rules shared by all images of
 * the process. */
struct sl_registry;
SL_MUST_CHECK int sl_registry_new(const struct sl_registry_options *options,
                                  struct sl_registry **ret, struct sl_error *err);
/* Whether such contents would be taken: nothing else is opened or made. */
SL_MUST_CHECK int sl_registry_check_rules(const char *registries_conf_text, struct sl_error *err);
/* All sources and streams must be closed. */
struct sl_registry *sl_registry_free(struct sl_registry *registry);
SL_DEFINE_AUTO(sl_registry, sl_registry_free)
/* Makes every request in flight, and every later one, fail with SL_E_CANCELLED. Any thread. */
void sl_registry_cancel(struct sl_registry *registry);

struct sl_image_source;
/* text: "docker://REF", "REF", "oci:DIR", "oci:DIR:TAG", "oci:DIR@DIGEST". Contacts nobody. */
SL_MUST_CHECK int sl_image_source_open(struct sl_registry *registry, const char *text,
                                       struct sl_image_source **ret, struct sl_error *err);
struct sl_image_source *sl_image_source_close(struct sl_image_source *src);
SL_DEFINE_AUTO(sl_image_source, sl_image_source_close)
/* Makes every request of this source, in flight or begun later, fail with SL_E_CANCELLED; others of
 * the registry go on. Any thread, does not block. */
void sl_image_source_cancel(struct sl_image_source *src);
/* The canonical name of the image ("docker.io/library/busybox:latest"; of a layout: "oci:" with its
 * absolute directory, symbolic links resolved): what policy is about.
 * Before it is resolved, the name the caller asked for as docker completes it. Afterwards the
 * logical name that was found: another one where an alias or a search registry stood in for a name
 * written without a host. Never the name of a mirror. Borrowed until the next resolve or close. */
const char *sl_image_source_name(const struct sl_image_source *src);

/* That name of an image as people write it, for those who look one up elsewhere; a layout must be
 * there. To be freed; NULL when text names no image. */
char *sl_image_canonical_name(const char *text);

/* Documents that the caller has kept: manifests, indexes and configs, by digest. What is known is
 * not asked for: none of them when the image is named by a digest, and then nobody has been asked
 * whether we may have it either, unless first_is_fetched. */
struct sl_known_documents {
    /* True: the bytes are in *ret, which is empty on entry. They are verified as those of a
     * registry; what is wrong is passed over. On the thread that resolves. */
    bool (*find)(void *arg, const struct sl_digest *digest, struct sl_bytes *ret);
    void *arg;
    /* The outermost document is asked of the image's place all the same: whoever may not have the
     * image is refused there. */
    bool first_is_fetched;
};
/* For sl_image_source_find(), _fetch_config() and _resolve(). Copied; NULL: none. Before them. */
void sl_image_source_set_known(struct sl_image_source *src, const struct sl_known_documents *known);

/* An image resolved to digests: everything after this uses them. */
struct sl_resolved_image {
    struct sl_digest manifest_digest;
    bool has_index_digest; /* it was chosen from an index: this one, the outermost */
    struct sl_digest index_digest;
    struct sl_bytes index_json; /* of index_digest */
    char *index_architecture;   /* what the index announces, or NULL: for a look at the config */
    struct sl_bytes manifest_json;
    struct sl_bytes config_json; /* verified against manifest->config */
    struct sl_manifest *manifest;
    struct sl_image_config *config;
};
/* Fetches manifest (following indexes, also nested, by platform) and config. Blocks. Members of
 * platform that are NULL stand for this machine's. */
SL_MUST_CHECK int sl_image_source_resolve(struct sl_image_source *src,
                                          const struct sl_platform *platform,
                                          struct sl_resolved_image **ret, struct sl_error *err);
/* The two halves of it, for those who have something to do between them: *ret without the config,
 * then the config. */
SL_MUST_CHECK int sl_image_source_find(struct sl_image_source *src,
                                       const struct sl_platform *platform,
                                       struct sl_resolved_image **ret, struct sl_error *err);
SL_MUST_CHECK int sl_image_source_fetch_config(struct sl_image_source *src,
                                               struct sl_resolved_image *image,
                                               struct sl_error *err);
struct sl_resolved_image *sl_resolved_image_free(struct sl_resolved_image *image);
SL_DEFINE_AUTO(sl_resolved_image, sl_resolved_image_free)

/* One document of an image as it is: for those who rewrite images. */
struct sl_image_document {
    struct sl_bytes bytes; /* verified */
    char *media_type;      /* the document's own, or its Content-Type */
    struct sl_digest digest;
    bool is_index;
};
void sl_image_document_done(struct sl_image_document *doc);
SL_DEFINE_AUTO_DONE(sl_image_document, sl_image_document_done)
/* The manifest or index with this digest; digest NULL: the one the source was opened for. Blocks.
 */
SL_MUST_CHECK int sl_image_source_document(struct sl_image_source *src,
                                           const struct sl_digest *digest,
                                           struct sl_image_document *ret, struct sl_error *err);
/* A small blob, whole and verified: configs. At most limit bytes. Blocks. */
SL_MUST_CHECK int sl_image_source_blob(struct sl_image_source *src,
                                       const struct sl_descriptor *blob, size_t limit,
                                       struct sl_bytes *ret, struct sl_error *err);

/* A running transfer of one blob into a flow. Uses buffers of lane, pauses when there are none
 * (it sets the lane's waker), resumes and retries by itself, enforces the descriptor's size
 * (never feeds more bytes than that), and ends the flow exactly once. It does not check the
 * digest: a stage does. blob must outlive the stream. */
struct sl_blob_stream;
SL_MUST_CHECK int sl_image_source_stream(struct sl_image_source *src,
                                         const struct sl_descriptor *blob, struct sl_buf_lane *lane,
                                         struct sl_flow *flow, struct sl_blob_stream **ret,
                                         struct sl_error *err);
/* Stops soon and ends the flow with SL_E_CANCELLED unless it has ended already. Any thread, does
 * not block. */
void sl_blob_stream_stop(struct sl_blob_stream *stream);
/* The flow must have been ended by the stream. */
struct sl_blob_stream *sl_blob_stream_close(struct sl_blob_stream *stream);
SL_DEFINE_AUTO(sl_blob_stream, sl_blob_stream_close)
/* Bytes fed so far: for progress. Any thread. */
uint64_t sl_blob_stream_bytes(const struct sl_blob_stream *stream);
