/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: verified layers, images and names below one root. No database: a directory is the
 * index. Every object is written aside, synced and renamed, so a crash leaves the old state or
 * the new one. Many processes may use one root at once.
 *
 *   layers/sha256/<diff_id>/{fs/,layer.json}   blobs/sha256/<blob digest>.json
 *   images/sha256/<manifest>.json              refs/<escaped name>
 *   mounts/<id>/{upper,work,mount.json}        staging/<random>/
 *   locks/<diff_id>                            lock
 */
#pragma once

#include "sluice/core/digest.h"

struct sl_store;
/* Creates what is missing (mode 0700 at the root) and removes what crashed processes left in
 * staging/. */
SL_MUST_CHECK int sl_store_open(const char *root, struct sl_store **ret, struct sl_error *err);
struct sl_store *sl_store_close(struct sl_store *store);
SL_DEFINE_AUTO(sl_store, sl_store_close)
/* The absolute path of the root. Borrowed. */
const char *sl_store_root(const struct sl_store *store);

/* The right to publish. Only the gate (pipeline/commit_gate.c) can make one, and it does so only
 * when every check of a layer or an image has passed. */
struct sl_gate_pass;

/* ---- layers ---- */

/* What is remembered of a blob whose every check passed here: it holds this layer. */
struct sl_blob_record {
    struct sl_digest blob;
    struct sl_digest diff_id;
    bool encrypted;
    uint8_t key_check[32]; /* of an encrypted blob: see sl_layer_key_check() */
};
/* 1 and *ret when the blob is known and its layer is in the store, 0 when not. */
SL_MUST_CHECK int sl_store_find_blob(struct sl_store *store, const struct sl_digest *blob,
                                     struct sl_blob_record *ret, struct sl_error *err);
/* 1 when a layer with this diff_id is in the store. */
SL_MUST_CHECK int sl_store_has_layer(struct sl_store *store, const struct sl_digest *diff_id,
                                     struct sl_error *err);

/* Waiting for a layer that another fetches, without blocking. */
struct sl_layer_wait {
    int *watch_fd; /* one for many; made when it is needed and -1. Readable: ask again, after
                    * reading it empty (it does not block) */
    int fd;        /* -1 at first; closed by the caller in the end */
};
/* The right to fetch a layer: one process and one thread at a time. -EAGAIN (err not set) when
 * another has it. wait may be NULL. Released by sl_store_unlock_layer() or by death. */
SL_MUST_CHECK int sl_store_lock_layer(struct sl_store *store, const struct sl_digest *diff_id,
                                      struct sl_layer_wait *wait, int *ret_fd,
                                      struct sl_error *err);
/* 1 when somebody has that right now, 0 when not. */
SL_MUST_CHECK int sl_store_is_layer_locked(struct sl_store *store, const struct sl_digest *diff_id,
                                           struct sl_error *err);
/* 1 and the bytes that are free on the store's file system; 0 where it does not say. */
SL_MUST_CHECK int sl_store_free_bytes(struct sl_store *store, uint64_t *ret, struct sl_error *err);

/* Closes *fdp, sets it to -1 and leaves no file behind. */
void sl_store_unlock_layer(struct sl_store *store, const struct sl_digest *diff_id, int *fdp);

/* Keeps a layer from gc until the descriptor is closed: a pull holds the layers it reuses until its
 * image is committed. 1 and *ret_fd when it is held, 0 when the layer is not in the store. Many
 * may hold one layer. */
SL_MUST_CHECK int sl_store_hold_layer(struct sl_store *store, const struct sl_digest *diff_id,
                                      int *ret_fd, struct sl_error *err);

/* A tree under construction in staging/, gone with its process unless committed. */
struct sl_staged_layer;
SL_MUST_CHECK int sl_staged_layer_new(struct sl_store *store, struct sl_staged_layer **ret,
                                      struct sl_error *err);
/* Removes the tree unless it was committed. Until then the layer is held against gc, as by
 * sl_store_hold_layer(): free it after the image was committed. */
struct sl_staged_layer *sl_staged_layer_free(struct sl_staged_layer *staged);
SL_DEFINE_AUTO(sl_staged_layer, sl_staged_layer_free)
/* The directory of the tree (staging/<random>/fs); borrowed, and closed by the commit. */
int sl_staged_layer_fd(const struct sl_staged_layer *staged);
/* So many bytes were written to the tree: from time to time all of it is sent on its way to the
 * disk beside what goes on, and the commit, which waits for that, has less to wait for. */
void sl_staged_layer_note_written(struct sl_staged_layer *staged, uint64_t bytes);
/* Paths (relative, bytes) of directories that the layer needed and did not describe: their
 * attributes come from the layers below. "" is the root. Takes a copy. */
SL_MUST_CHECK int sl_staged_layer_add_implicit(struct sl_staged_layer *staged, struct sl_span path,
                                               struct sl_error *err);
/* Paths of directories in which the layer hides names of the layers below: overlayfs lists such a
 * hidden name all the same where it has nothing to merge the directory with. Takes a copy. */
SL_MUST_CHECK int sl_staged_layer_add_whiteout_dir(struct sl_staged_layer *staged,
                                                   struct sl_span path, struct sl_error *err);
/* One of the layers that are committed together. */
struct sl_layer_commit {
    struct sl_staged_layer *staged;
    struct sl_blob_record record; /* what every check of the layer has passed for */
    int result;            /* negative: not committed, and left alone where it was so before */
    struct sl_error error; /* of a negative result */
    double sync_seconds;   /* of the sync that all of them shared */
    struct sl_layer_commit *next;
};
/* Syncs the trees, once for all, renames them into layers/, then records their blobs. When a layer
 * is there already (another blob with the same content), only the blob is recorded and the tree
 * dropped. A failure is that of one layer, or of all. All are of one store. One name for the whole
 * act: nothing else publishes a layer. Called by the gate only, on any thread. */
void sl_layers_commit(struct sl_layer_commit *first, const struct sl_gate_pass *pass);

/* Removes those of the layers that no image or mount refers to and nobody holds: what a pull has
 * committed before it failed. */
SL_MUST_CHECK int sl_store_drop_layers(struct sl_store *store, const struct sl_digest *diff_ids,
                                       size_t n, struct sl_error *err);

/* ---- images ---- */

struct sl_image_record {
    char *name; /* the canonical reference it was pulled by; may be NULL */
    struct sl_digest manifest;
    struct sl_digest config;
    struct sl_digest *diff_ids; /* bottom first, duplicates kept */
    size_t n_layers;
    bool encrypted;                /* any layer came encrypted */
    uint64_t size;                 /* bytes of the blobs as sent */
    int64_t pulled;                /* seconds since the epoch: when it was recorded as it is */
    struct sl_bytes config_json;   /* the image config, as verified */
    struct sl_bytes manifest_json; /* the same of the manifest; empty: not kept */
    /* Why it was allowed in, for audits: a JSON object the store does not look into, at most
     * SL_VERDICT_RECORD_MAX bytes; empty: not known. Proves nothing: policy is asked every time. */
    struct sl_bytes verdict_json;
};
enum { SL_VERDICT_RECORD_MAX = 64 * 1024 };
struct sl_image_record *sl_image_record_free(struct sl_image_record *record);
SL_DEFINE_AUTO(sl_image_record, sl_image_record_free)

/* Writes images/… and refs/…; all layers must be there. Nothing is written where the store says all
 * of it already, whatever record->pulled is. Called by the gate only. */
SL_MUST_CHECK int sl_image_commit(struct sl_store *store, const struct sl_gate_pass *pass,
                                  const struct sl_image_record *record, struct sl_error *err);
/* 1 and the record, without a name, when the store has the image of this manifest; 0 when not. */
SL_MUST_CHECK int sl_store_load_image(const struct sl_store *store,
                                      const struct sl_digest *manifest,
                                      struct sl_image_record **ret, struct sl_error *err);
/* By canonical name or by manifest digest ("sha256:…", or an unambiguous prefix of its hex of at
 * least 6 digits); SL_E_SYSTEM with ENOENT when unknown. */
SL_MUST_CHECK int sl_store_find_image(struct sl_store *store, const char *name_or_digest,
                                      struct sl_image_record **ret, struct sl_error *err);
/* All images, one record for each name (an image without a name has one record), sorted by name;
 * a NULL-terminated list, each to be freed, then the list. */
SL_MUST_CHECK int sl_store_list_images(struct sl_store *store, struct sl_image_record ***ret,
                                       struct sl_error *err);
/* Removes a name, or with a digest every name and the image; layers go with the next gc. -EBUSY
 * when the last name of a mounted image would go, unless force. */
SL_MUST_CHECK int sl_store_remove_image(struct sl_store *store, const char *name_or_digest,
                                        bool force, struct sl_error *err);

struct sl_gc_result {
    unsigned layers, blobs, images, staging; /* objects removed */
    uint64_t bytes;                          /* of layer trees, as allocated on disk */
};
/* Removes what nothing refers to: layers without image or mount, blob records without layer,
 * images without name or mount, rubbish in staging. Safe beside running pulls. */
SL_MUST_CHECK int sl_store_gc(struct sl_store *store, bool dry_run, struct sl_gc_result *ret,
                              struct sl_error *err);
