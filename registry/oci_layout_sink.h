/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of a layout that is written: its documents (oci_layout_sink.c) and blobs on their
 * way into it (oci_layout_upload.c). */
#pragma once

#include "layout_file.h"
#include "sink_ops.h"

#include <pthread.h>

struct sl_oci_layout_sink {
    struct sl_sink base;
    char *dir;    /* as given */
    char *tag;    /* or NULL */
    int fd;       /* of dir; -1: nothing was written yet */
    int blobs_fd; /* of blobs/sha256, where uploads grow */

    /* What this sink made, to be taken back: */
    size_t made_from; /* bytes of dir up to the first folder that is new; 0: none is */
    bool made_version;
    bool is_committed;
    pthread_mutex_t lock; /* held while it is made; guards the blobs that were put */
    struct sl_digest *blobs;
    size_t n_blobs;
};

/* Makes the layout unless it is there. Any thread. */
SL_MUST_CHECK int sl_oci_layout_sink_prepare(struct sl_oci_layout_sink *sink, struct sl_error *err);
/* Names a file that is written and synced after its digest. Any thread. */
SL_MUST_CHECK int sl_oci_layout_sink_name_blob(struct sl_oci_layout_sink *sink,
                                               struct sl_layout_file *file,
                                               const struct sl_digest *digest,
                                               struct sl_error *err);
/* upload() of struct sl_sink_ops. */
SL_MUST_CHECK int sl_oci_layout_upload(struct sl_sink *base, uint64_t size,
                                       const struct sl_upload_events *events,
                                       struct sl_blob_upload **ret, struct sl_error *err);
