/* SPDX-License-Identifier: Apache-2.0 */
/* The two halves of the layout transport: documents (oci_layout.c) and streams of blobs
 * (oci_layout_stream.c). */
#pragma once

#include "index.h"
#include "source_ops.h"

#include <pthread.h>

struct sl_layout_stream;

struct sl_oci_layout {
    struct sl_source source;
    char *dir;                       /* as given, for errors */
    char *real;                      /* absolute, and no symbolic link leads to it */
    char *tag;                       /* or NULL */
    int fd;                          /* of dir */
    atomic_bool has_checked_version; /* also set beside attachments */
    atomic_bool is_cancelled;
    pthread_mutex_t lock; /* guards: */
    struct sl_layout_stream *streams;
};

/* The folder is an OCI layout of a version we know. dir names it in errors. */
SL_MUST_CHECK int sl_oci_layout_check_version(int dirfd, const char *dir, struct sl_error *err);
/* Opens the blob of a digest: a regular file, in the end. Errors name the digest. */
SL_MUST_CHECK int sl_oci_layout_open_blob(const struct sl_oci_layout *layout,
                                          const struct sl_digest *digest, int *ret_fd,
                                          uint64_t *ret_size, struct sl_error *err);
/* SL_E_INTEGRITY naming both unless size is the blob's. */
SL_MUST_CHECK int sl_oci_layout_check_size(const struct sl_descriptor *blob, uint64_t size,
                                           struct sl_error *err);

/* index.json, at most SL_MANIFEST_MAX bytes. *ret is empty. */
SL_MUST_CHECK int sl_oci_layout_read_index(struct sl_oci_layout *layout, struct sl_bytes *ret,
                                           struct sl_error *err);
/* The entry with that tag, or NULL. */
const struct sl_descriptor *sl_oci_layout_find_tag(const struct sl_index *index, const char *tag);
/* The document a descriptor of index.json leads to. */
SL_MUST_CHECK int sl_oci_layout_fetch_entry(struct sl_oci_layout *layout,
                                            const struct sl_descriptor *d,
                                            struct sl_source_document *ret, struct sl_error *err);
/* The document with this digest. */
SL_MUST_CHECK int sl_oci_layout_fetch_document(struct sl_oci_layout *layout,
                                               const struct sl_digest *digest,
                                               struct sl_source_document *ret,
                                               struct sl_error *err);
/* oci_layout_attachments.c */
extern const struct sl_attachment_ops sl_oci_layout_attachment_ops;
/* SL_E_CANCELLED once the source is cancelled. */
SL_MUST_CHECK int sl_oci_layout_check_cancelled(const struct sl_oci_layout *layout,
                                                struct sl_error *err);
/* oci_layout_stream.c: stops all that run. Any thread, does not block. */
void sl_oci_layout_stop_streams(struct sl_oci_layout *layout);
/* The stream() of struct sl_source_ops. */
SL_MUST_CHECK int sl_oci_layout_stream(struct sl_source *source, const struct sl_descriptor *blob,
                                       struct sl_buf_lane *lane, struct sl_flow *flow,
                                       struct sl_blob_stream **ret, struct sl_error *err);
