/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between an image source and its transport. The front (image_source.c) parses names,
 * follows indexes and verifies every digest; a transport only moves bytes. All calls come from one
 * thread at a time and may block, except where stated.
 */
#pragma once

#include "sluice/core/reference.h"
#include "sluice/image_source.h"

#include <stdatomic.h>

/* A manifest or index as the transport delivered it: nothing about it is verified. */
struct sl_source_document {
    struct sl_bytes bytes; /* at most SL_MANIFEST_MAX */
    char *media_type;      /* Content-Type without parameters, or of a descriptor; NULL: unknown */
    bool has_promised;     /* the transport named a digest (Docker-Content-Digest, index.json): */
    struct sl_digest promised; /* the front checks the bytes against it */
};
static inline void sl_source_document_done(struct sl_source_document *doc)
{
    sl_bytes_done(&doc->bytes);
    sl_cleanup_freep(&doc->media_type);
    doc->media_type = NULL;
}
SL_DEFINE_AUTO_DONE(sl_source_document, sl_source_document_done)

struct sl_source;
struct sl_referrers;

/* What lies beside an image: sluice/attachments.h. Called on any thread, several at once, also
 * beside streams, once fetch_manifest() has given something. 1: found, 0: there is none. */
struct sl_attachment_ops {
    int (*by_tag)(struct sl_source *src, const char *tag, struct sl_source_document *ret,
                  struct sl_error *err);
    int (*by_digest)(struct sl_source *src, const struct sl_digest *digest,
                     struct sl_source_document *ret, struct sl_error *err);
    /* As fetch_blob(). */
    int (*blob)(struct sl_source *src, const struct sl_descriptor *blob, struct sl_bytes *ret,
                struct sl_error *err);
    /* *list is empty on entry. */
    int (*referrers)(struct sl_source *src, const struct sl_digest *image,
                     struct sl_referrers *list, struct sl_error *err);
    /* *ret is empty on entry. NULL: there is no such thing. */
    int (*extension)(struct sl_source *src, const struct sl_digest *image, size_t limit,
                     struct sl_bytes *ret, struct sl_error *err);
};

struct sl_source_ops {
    const char *name; /* "docker", "oci": for errors and logs */
    /* The document with this digest; digest NULL: the one the source was opened for by tag. */
    int (*fetch_manifest)(struct sl_source *src, const struct sl_digest *digest,
                          struct sl_source_document *ret, struct sl_error *err);
    /* The first document is known by its digest and need not be fetched. 1: so be it, and
     * name_served() is settled; 0: it must be fetched, since its place says what its name is. NULL:
     * always 1. */
    int (*presume)(struct sl_source *src, struct sl_error *err);
    /* A small blob, whole. Exactly blob->size bytes, which the caller has limited, or
     * SL_E_INTEGRITY. *ret is empty on entry. */
    int (*fetch_blob)(struct sl_source *src, const struct sl_descriptor *blob, struct sl_bytes *ret,
                      struct sl_error *err);
    /* sl_image_source_stream(). The stream may not outlive the source. Must not block on I/O. */
    int (*stream)(struct sl_source *src, const struct sl_descriptor *blob, struct sl_buf_lane *lane,
                  struct sl_flow *flow, struct sl_blob_stream **ret, struct sl_error *err);
    /* The logical name of what fetch_manifest() gave, "host/repository[:tag][@digest]", to be
     * freed; NULL when out of memory. Without this function it is the name asked for. */
    char *(*name_served)(const struct sl_source *src);
    /* Where blobs come from: a registry's host, as rules and mirrors have made it, and the
     * repository there. Borrowed until the next fetch. False before the first one. NULL: no
     * registry. */
    bool (*place)(const struct sl_source *src, const char **ret_host, const char **ret_repository);
    /* NULL: nothing can lie beside. */
    const struct sl_attachment_ops *attachments;
    /* sl_image_source_cancel(): any thread, beside everything else, does not block. NULL: nothing
     * of it ever waits. */
    void (*cancel)(struct sl_source *src);
    /* Frees the source; accepts a half-built one; never fails. All streams are closed. */
    void (*close)(struct sl_source *src);
};

/* Embedded first in the transport's own struct. */
struct sl_http_group;
struct sl_source {
    const struct sl_source_ops *ops;
    struct sl_http_group *group; /* its requests are cancelled with this; NULL: it has none */
};

struct sl_blob_stream_ops {
    void (*stop)(struct sl_blob_stream *stream);  /* as sl_blob_stream_stop(): any thread */
    void (*close)(struct sl_blob_stream *stream); /* joins what still runs, frees */
};

/* Embedded first in the transport's own stream. */
struct sl_blob_stream {
    const struct sl_blob_stream_ops *ops;
    _Atomic uint64_t bytes; /* fed into the flow so far; the transport counts */
};

/* The transports. They contact nobody and read nothing before the first fetch. ref is borrowed
 * for the call. host_was_explicit: the user wrote the host, so that aliases and search registries
 * do not apply. */
SL_MUST_CHECK int sl_docker_source_open(struct sl_registry *registry,
                                        const struct sl_reference *ref, bool host_was_explicit,
                                        struct sl_source **ret, struct sl_error *err);
/* tag names the entry of index.json that is served for a NULL digest; NULL: its only entry. */
SL_MUST_CHECK int sl_oci_layout_open(const char *dir, const char *tag, struct sl_source **ret,
                                     struct sl_error *err);
/* Of a layout: its directory, absolute and without symbolic links. Borrowed. */
const char *sl_oci_layout_real_path(const struct sl_source *source);

/* A front's engine, or NULL; its transport. Borrowed. */
struct sl_registry *sl_image_source_registry(const struct sl_image_source *src);
struct sl_source *sl_image_source_transport(const struct sl_image_source *src);
/* place() of a front's transport; false where there is none. */
bool sl_image_source_place(const struct sl_image_source *src, const char **ret_host,
                           const char **ret_repository);
