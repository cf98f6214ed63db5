/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes and image configs: OCI image-spec v1.1 and docker schema 2. Parsers take
 * bytes whose digest has been verified by whoever fetched them. */
#pragma once

#include "sluice/core/digest.h"

struct sl_platform {
    char *os, *architecture, *variant; /* Go names; variant may be NULL */
};

struct sl_descriptor {
    char *media_type; /* never NULL, may be "" */
    struct sl_digest digest;
    uint64_t size;
    struct sl_pair *annotations;
    size_t n_annotations;
};
/* Value of an annotation, or NULL. */
const char *sl_descriptor_annotation(const struct sl_descriptor *d, const char *name);

struct sl_manifest {
    char *media_type;
    struct sl_descriptor config;
    struct sl_descriptor *layers; /* bottom first */
    size_t n_layers;
};

/* media_type is the Content-Type, or NULL; it must agree with the body's own. Docker schema 1,
 * an index, and documents that are both are refused, each with its reason. */
SL_MUST_CHECK int sl_manifest_parse(struct sl_span json, const char *media_type,
                                    struct sl_manifest **ret, struct sl_error *err);
struct sl_manifest *sl_manifest_free(struct sl_manifest *m);
SL_DEFINE_AUTO(sl_manifest, sl_manifest_free)

/* What of an image config is needed to check and to run an image (image-spec config.md). */
struct sl_image_config {
    char *os, *architecture, *variant; /* as in the document; NULL when absent */
    char *os_version, *author, *created;
    char **os_features; /* NULL-terminated lists, NULL when absent */
    struct sl_digest *diff_ids;
    size_t n_diff_ids;
    char *user, *working_dir, *stop_signal;
    char **env, **entrypoint, **cmd;
    char **exposed_ports, **volumes; /* member names, in document order */
    struct sl_pair *labels;
    size_t n_labels;
};
SL_MUST_CHECK int sl_image_config_parse(struct sl_span json, struct sl_image_config **ret,
                                        struct sl_error *err);
struct sl_image_config *sl_image_config_free(struct sl_image_config *c);
SL_DEFINE_AUTO(sl_image_config, sl_image_config_free)

/* What the media type of a layer says about its bytes. */
enum sl_layer_compression { SL_LAYER_PLAIN, SL_LAYER_GZIP, SL_LAYER_ZSTD };
struct sl_layer_media {
    enum sl_layer_compression compression;
    bool encrypted;
    bool foreign; /* nondistributable: a registry need not have it */
};
/* "unhandled media type: X" for anything unknown. */
SL_MUST_CHECK int sl_layer_media_parse(const char *media_type, struct sl_layer_media *ret,
                                       struct sl_error *err);
