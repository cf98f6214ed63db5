/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image goes to: a registry (docker://, the default) or an OCI layout on disk
 * (oci:DIR[:TAG]). Blobs first, then manifests, the named one last: until that one is in place
 * nobody can see the image. What was begun and not committed is taken back.
 */
#pragma once

#include "sluice/image_source.h"

struct sl_image_sink;
/* text: "docker://REF", "REF", "oci:DIR", "oci:DIR:TAG". Contacts nobody, writes nothing. A
 * reference by digest is refused: digests come out, they are not asked for. */
SL_MUST_CHECK int sl_image_sink_open(struct sl_registry *registry, const char *text,
                                     struct sl_image_sink **ret, struct sl_error *err);
/* Removes what was not committed: uploads in the registry, temporary files, and the layout itself
 * if this sink created it and no named manifest was put. All uploads are closed. */
struct sl_image_sink *sl_image_sink_close(struct sl_image_sink *sink);
SL_DEFINE_AUTO(sl_image_sink, sl_image_sink_close)
/* What waits for the sink's place, and whatever asks it for something later, fails soon with
 * SL_E_CANCELLED; what was begun is still taken back. Any thread, does not block. */
void sl_image_sink_cancel(struct sl_image_sink *sink);
/* "host/repository:tag" or "oci:/dir:tag". Borrowed. */
const char *sl_image_sink_name(const struct sl_image_sink *sink);

/* 1 when the blob is there already, or could be mounted from source's repository because that is on
 * the same registry (source may be NULL); else 0. Blocks. Any thread, also several at once. */
SL_MUST_CHECK int sl_image_sink_has_blob(struct sl_image_sink *sink, struct sl_image_source *source,
                                         const struct sl_descriptor *blob, struct sl_error *err);
/* A small blob, whole: configs. Skips what is there. Blocks. */
SL_MUST_CHECK int sl_image_sink_put_blob(struct sl_image_sink *sink, struct sl_span bytes,
                                         const struct sl_digest *digest, struct sl_error *err);
/* A manifest or index, whole. named: under the tag of the sink too (last of all); else by digest
 * only, for the members of an index. Blocks. */
SL_MUST_CHECK int sl_image_sink_put_manifest(struct sl_image_sink *sink, struct sl_span bytes,
                                             const char *media_type, const struct sl_digest *digest,
                                             bool named, struct sl_error *err);

/* One blob on its way, of known size and as yet unknown digest: buffers enter by a stage, leave to
 * the network or a file, and go home. Bytes that were sent are gone: if the connection breaks, or
 * our authorization expires, in the middle of them, the upload fails with SL_E_NETWORK, and whoever
 * can make the bytes again starts a new one. Everything else is retried as any request. */
struct sl_blob_upload;
struct sl_upload_events {
    /* The upload that was committed is in place (r 0), or failed. Once; any thread, also before
     * the commit returns; the upload may be closed from here on, not from within. */
    void (*done)(void *arg, int r, const struct sl_error *err);
    /* The upload failed while the flow may still feed it: the flow must be stopped (sl_flow_fail
     * with this error). At most once, any thread, must not block; not after the stage's finish or
     * close. May be NULL. */
    void (*failed)(void *arg, int r, const struct sl_error *err);
    void *arg;
};
SL_MUST_CHECK int sl_image_sink_upload(struct sl_image_sink *sink, uint64_t size,
                                       const struct sl_upload_events *events,
                                       struct sl_blob_upload **ret, struct sl_error *err);
/* The stage at the end of the flow that takes the bytes, phase SL_PHASE_OUT. It keeps buffers until
 * they are sent, so that their lane is the limit, and never answers -EAGAIN. Its finish says that
 * all bytes are handed over; they may still be on their way. The upload outlives the stage. */
SL_MUST_CHECK int sl_stage_upload_new(struct sl_blob_upload *upload, struct sl_stage **ret,
                                      struct sl_error *err);
/* Once the flow has succeeded: gives the blob its name. Does not block; done() tells. */
void sl_blob_upload_commit(struct sl_blob_upload *upload, const struct sl_digest *digest);
/* Takes back what was not committed and waits until no buffer is held: some seconds at most, and
 * what a registry cannot delete in that time is left to its own housekeeping. Not while a commit is
 * under way. */
struct sl_blob_upload *sl_blob_upload_close(struct sl_blob_upload *upload);
SL_DEFINE_AUTO(sl_blob_upload, sl_blob_upload_close)
/* Bytes handed to the network or disk so far: for progress. Any thread. */
uint64_t sl_blob_upload_bytes(const struct sl_blob_upload *upload);
