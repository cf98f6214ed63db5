/* SPDX-License-Identifier: Apache-2.0 */
/* An image on its way from one place to another, its layers encrypted or decrypted as they pass. */
#pragma once

#include "sluice/pipeline.h"

struct sl_convert_report;

struct sl_convert_options {
    const char *source, *destination; /* "docker://…", "oci:…" */
    /* For the destination, when they differ from the engine's; or NULL. */
    const struct sl_registry_options *destination_registry;
    /* Of an index: only the image of this platform. Without it every image is converted and the
     * index with them. */
    bool one_platform;
    struct sl_platform platform;
    struct sl_key_options keys; /* to open layers: all of decrypt; to add recipients */
    unsigned jobs;              /* layers at once; 0: 4 */

    /* Of encryption. */
    const char *const *encryption_keys; /* specs, NULL-terminated, at least one */
    const int *layers;                  /* which, negative from the end (-1: the top); NULL: all */
    size_t n_layers;
    const char *recipient_pgp_home; /* gnupg home of pgp: recipients; NULL: the user's */
    bool allow_a256ctr;

    int cancel_fd; /* ends this conversion alone (core/cancel.h; borrowed) */
    void (*progress)(void *arg, const struct sl_convert_report *report);
    void *progress_arg;
};

enum sl_convert_action {
    SL_LAYER_COPIED, /* as it was */
    SL_LAYER_ENCRYPTED,
    SL_LAYER_DECRYPTED,
    SL_LAYER_RECIPIENTS_ADDED, /* same blob, more annotations */
};

struct sl_convert_layer_report {
    struct sl_digest from, to;
    uint64_t size, done; /* bytes */
    enum sl_convert_action action;
    bool skipped; /* no bytes were moved: the destination had the blob, or mounted it */
    double seconds;
};

struct sl_convert_report {
    const char *source, *destination; /* canonical names */
    struct sl_digest digest;          /* of what was put under the name: manifest or index */
    bool is_index;
    size_t n_images;  /* 1, or members of the index */
    size_t n_dropped; /* members of the index that were left out: attestations of the old digests */
    size_t n_layers;  /* over all images, each blob once */
    const struct sl_convert_layer_report *layers;
    double seconds;
    size_t peak_buffers_bytes;
};

/* Nothing becomes visible at the destination unless everything succeeded: every layer that should
 * be encrypted is, in every image. */
SL_MUST_CHECK int sl_encrypt_image(struct sl_engine *engine,
                                   const struct sl_convert_options *options,
                                   struct sl_convert_report **ret, struct sl_error *err);
SL_MUST_CHECK int sl_decrypt_image(struct sl_engine *engine,
                                   const struct sl_convert_options *options,
                                   struct sl_convert_report **ret, struct sl_error *err);
struct sl_convert_report *sl_convert_report_free(struct sl_convert_report *report);
SL_DEFINE_AUTO(sl_convert_report, sl_convert_report_free)
