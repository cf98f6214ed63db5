/* SPDX-License-Identifier: Apache-2.0 */
/* One conversion, as its parts share it. Everything but a running flow belongs to the thread that
 * called sl_encrypt_image() or sl_decrypt_image(). */
#pragma once

#include "schedule.h"
#include "sluice/convert.h"
#include "sluice/image_sink.h"
#include "sluice/key_access.h"
#include "sluice/key_wrap.h"

#include "sluice/core/json_writer.h"

#include <stdatomic.h>

struct conversion;

enum convert_state {
    CONVERT_WAITING,  /* for its turn, or for memory */
    CONVERT_ASKING,   /* whether the destination has it */
    CONVERT_MOVING,   /* its flow runs */
    CONVERT_WRAPPING, /* its blob is known, its key is being wrapped */
    CONVERT_NAMING,   /* its upload is being committed */
    CONVERT_DONE,
    CONVERT_FAILED,
};

enum { CONVERT_LANE, CONVERT_CHECK_LANE, CONVERT_LANES };

/* One blob on its way, for all the layers of all images that are this blob and get the same. */
struct convert_layer {
    struct conversion *conversion;
    size_t number, of;                /* of the first image that has it, for messages */
    const struct sl_descriptor *blob; /* of that image */
    const struct sl_digest *diff_id;  /* of that image's config; of a layer that is decrypted */
    struct sl_convert_layer_report report;

    /* Known before anything moves. */
    struct sl_enc_annotations *encryption; /* of a layer that is encrypted already */
    struct sl_layer_key *key; /* locked memory; NULL when there is none yet or any more */

    /* What the descriptor gets: encrypted, beside what it has; recipients added, instead. */
    struct sl_annotations annotations;

    /* While it moves: see convert_layer.c. */
    enum convert_state state;
    bool is_missing; /* the destination was asked */
    unsigned attempts;
    uint64_t started_ns;
    struct sl_buf_lane *lanes[CONVERT_LANES]; /* one share of memory */
    struct sl_flow *flow;
    _Atomic(struct sl_blob_stream *) stream;
    struct sl_blob_upload *upload;
    struct sl_blob_summary summary;
    struct sl_task step; /* of asking and wrapping */

    /* Under the conversion's lock of uploads. */
    bool may_fail_flow; /* the flow has started, and is not through */
    int upload_result;
    struct sl_error upload_error;

    /* Of the step under way; valid once through, which is under the conversion's lock. */
    int result; /* of asking: 1 when the destination has it */
    struct sl_error error;
    bool through;
};

/* A manifest or an index on its way. */
struct convert_document {
    struct sl_image_document from;
    struct sl_json_doc *json; /* of from */
    size_t depth;             /* indexes around it */

    /* Of a manifest. */
    struct sl_manifest *manifest;
    struct convert_layer **layers; /* one for each of the manifest's; borrowed */
    struct sl_digest *diff_ids;    /* one for each; NULL where nothing is decrypted */

    /* Of an index. */
    struct convert_document **members; /* one for each of its entries; NULL: left out; borrowed */
    size_t n_members;

    bool is_rewritten; /* otherwise it goes on byte by byte */
    struct sl_bytes bytes;
    struct sl_digest digest;
    const char *media_type; /* borrowed from the above, or static */
};

struct conversion {
    struct sl_engine *engine;
    const struct sl_convert_options *options;
    bool encrypts;
    struct sl_visit visit;
    struct sl_engine_registry *own_registry; /* the destination's, if it has one */
    struct sl_image_source *source;
    struct sl_image_sink *sink;
    struct sl_key_access keys;
    struct sl_recipients *recipients; /* of encryption */

    struct convert_document **documents; /* each once, what an index lists before the index */
    size_t n_documents, n_manifests, n_dropped;
    struct convert_layer **layers;
    size_t n_layers;

    pthread_mutex_t lock, upload_lock; /* upload_lock is taken first */
    int event_fd; /* an eventfd: some layer's step is through, or memory has come home */
    struct sl_memory_guest memory;
    struct sl_convert_report report;
    struct sl_convert_layer_report *layer_reports;
    uint64_t started_ns, reported_ns;
};

/* convert_index.c: fetches the image, or every image of an index. */
SL_MUST_CHECK int sl_convert_fetch(struct conversion *c, struct sl_error *err);
/* The index with what became of its members. */
SL_MUST_CHECK int sl_convert_write_index(struct convert_document *doc, bool to_oci,
                                         struct sl_error *err);
struct convert_document *sl_convert_document_free(struct convert_document *doc);
SL_DEFINE_AUTO(convert_document, sl_convert_document_free)

/* convert_plan.c: what is to be done with each layer. Nothing is asked and nothing moves. */
SL_MUST_CHECK int sl_convert_plan(struct conversion *c, struct sl_error *err);
/* By its media type, which is the only thing that may say so. */
bool sl_convert_is_encrypted(const struct sl_descriptor *layer);
/* Unwraps what has to be unwrapped, all side by side. */
SL_MUST_CHECK int sl_convert_open_keys(struct conversion *c, struct sl_error *err);
/* "layer 3/7 sha256:0123456789ab: " before the message. */
int sl_convert_layer_error(const struct convert_layer *l, int r, struct sl_error *err);

/* convert_check.c: passes a decrypted blob on as it is once it has seen it: unpacked it must have
 * this digest. lane, of SL_CONVERT_CHECK_BUFFERS, must outlive the stage. */
enum {
    /* A copy too short to know its format by, the next copy, and one that is inflated into. */
    SL_CONVERT_CHECK_BUFFERS = 3,
};
SL_MUST_CHECK int sl_convert_check_stage_new(const struct sl_digest *diff_id,
                                             struct sl_buf_lane *lane, struct sl_stage **ret,
                                             struct sl_error *err);

/* convert_layer.c: asks the destination whether it has a blob that stays as it is, on a worker; a
 * layer that waits again after that, and any other, starts its flow. -EAGAIN when there is no
 * memory for it now. */
SL_MUST_CHECK int sl_convert_layer_start(struct convert_layer *l, struct sl_error *err);
/* The layer's step is through: 1 when another one has begun, 0 when it was the last, or when the
 * layer waits for its turn again. */
SL_MUST_CHECK int sl_convert_layer_next(struct convert_layer *l, struct sl_error *err);
/* Asks a moving layer to stop; it will be through soon. */
void sl_convert_layer_stop(struct convert_layer *l);
struct convert_layer *sl_convert_layer_free(struct convert_layer *l);

/* convert_schedule.c: brings every blob to the destination, or fails. */
SL_MUST_CHECK int sl_convert_layers(struct conversion *c, struct sl_error *err);
/* Calls the caller's progress function when it is time, or now. */
void sl_convert_progress(struct conversion *c, bool now);

/* convert_manifest.c: what a layer, or a whole document, is called in OCI's words; the text itself
 * where that is no docker type. The suffix "+encrypted" is looked through by nobody here. */
const char *sl_convert_oci_type(const char *media_type);
/* The manifest with what became of its layers. */
SL_MUST_CHECK int sl_convert_write_manifest(struct convert_document *doc, bool to_oci,
                                            struct sl_error *err);
/* A second look at what was written: every layer that should be encrypted is, for every recipient;
 * or, after decryption, none. */
SL_MUST_CHECK int sl_convert_check_manifest(const struct convert_document *doc,
                                            const struct sl_convert_options *options, bool encrypts,
                                            struct sl_error *err);

/* A descriptor as it was, but for these. */
struct convert_edit {
    const char *media_type;
    const struct sl_digest *digest;
    uint64_t size;
    bool has_other_bytes;                     /* copies and addresses of the old ones go */
    const struct sl_annotations *annotations; /* instead of what it has; NULL: as they were */
};
void sl_convert_put_descriptor(struct sl_json_writer *w, const char *name,
                               const struct sl_json *from, const struct convert_edit *edit);
/* Ends the text of a rewritten document and sums it up. */
SL_MUST_CHECK int sl_convert_end_document(struct convert_document *doc, struct sl_json_writer *w,
                                          struct sl_error *err);
