/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between an image sink and its transport. The front (image_sink.c) parses names, checks
 * digests of what it has whole, and counts what a flow feeds; a transport moves bytes. Calls come
 * from one thread at a time and may block, except where stated: has_blob() is called on many
 * threads at once, and beside upload().
 */
#pragma once

#include "layout_index.h"
#include "sluice/core/reference.h"
#include "sluice/image_sink.h"
#include "source_ops.h"

#include <stdatomic.h>

struct sl_sink;

struct sl_sink_ops {
    const char *name; /* "docker", "oci": for errors and logs */
    /* These are sl_image_sink_has_blob() and so on. */
    int (*has_blob)(struct sl_sink *sink, const struct sl_image_source *source,
                    const struct sl_descriptor *blob, struct sl_error *err);
    /* The blob is not there yet, and the bytes have this digest. */
    int (*put_blob)(struct sl_sink *sink, struct sl_span bytes, const struct sl_digest *digest,
                    struct sl_error *err);
    int (*put_manifest)(struct sl_sink *sink, struct sl_span bytes, const char *media_type,
                        const struct sl_digest *digest, bool named, struct sl_error *err);
    /* Does not wait for the network. The front fills in what is common, before any push. */
    int (*upload)(struct sl_sink *sink, uint64_t size, const struct sl_upload_events *events,
                  struct sl_blob_upload **ret, struct sl_error *err);
    /* For attachments: sluice/attachment_push.h. 1: found; 0: there is none. */
    int (*find_tag)(struct sl_sink *sink, const char *tag, struct sl_source_document *ret,
                    struct sl_error *err);
    int (*put_tagged)(struct sl_sink *sink, struct sl_span bytes, const char *media_type,
                      const struct sl_digest *digest, const char *tag, struct sl_error *err);
    /* entry: how lists describe it; it has no tag. */
    int (*put_referrer)(struct sl_sink *sink, struct sl_span bytes,
                        const struct sl_layout_entry *entry, const struct sl_digest *subject,
                        struct sl_error *err);
    /* sl_image_sink_cancel(): any thread, beside everything else, does not block. NULL: nothing of
     * it ever waits. */
    void (*cancel)(struct sl_sink *sink);
    /* Takes back what was not committed and frees the sink; accepts a half-built one. All uploads
     * are closed. */
    void (*close)(struct sl_sink *sink);
};

/* Embedded first in the transport's own struct. */
struct sl_sink {
    const struct sl_sink_ops *ops;
};

struct sl_blob_upload_ops {
    /* For the stage, on a worker. push takes the buffer, also on failure. */
    int (*push)(struct sl_blob_upload *upload, struct sl_buf **bufp, struct sl_error *err);
    int (*finish)(struct sl_blob_upload *upload, struct sl_error *err);
    /* The stage is gone: events.failed may no longer be called. May be NULL. */
    void (*leave)(struct sl_blob_upload *upload);
    /* sl_blob_upload_commit() and sl_blob_upload_close(). */
    void (*commit)(struct sl_blob_upload *upload, const struct sl_digest *digest);
    void (*close)(struct sl_blob_upload *upload);
};

/* Embedded first in the transport's own upload. */
struct sl_blob_upload {
    const struct sl_blob_upload_ops *ops;
    struct sl_upload_events events;
    uint64_t size;
    uint64_t fed;           /* the stage's */
    _Atomic uint64_t bytes; /* handed on so far; the transport counts */
};

/* A front's transport. Borrowed. */
struct sl_sink *sl_image_sink_transport(const struct sl_image_sink *sink);

/* The transports. They contact nobody and write nothing before the first call. tag may be NULL for
 * a layout. */
SL_MUST_CHECK int sl_docker_sink_open(struct sl_registry *registry, const struct sl_reference *ref,
                                      struct sl_sink **ret, struct sl_error *err);
SL_MUST_CHECK int sl_oci_layout_sink_open(const char *dir, const char *tag, struct sl_sink **ret,
                                          struct sl_error *err);
