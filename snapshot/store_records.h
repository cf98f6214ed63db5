/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the store as text: JSON of our own making, read back as if it were not. Parsers
 * take bytes; an error says what is wrong with them and the caller names the file.
 */
#pragma once

#include "sluice/layer_store.h"
#include "sluice/overlay_mount.h"

enum {
    SL_NOTES_COUNT_MAX = 64 * 1024,       /* directories a layer may leave undescribed, */
                                          /* or hold whiteouts in */
    SL_NOTES_BYTES_MAX = 8 * 1024 * 1024, /* bytes of their paths */
};

/* A list of paths: raw bytes without NUL, relative, "" for the root. */
struct sl_path_list {
    char **paths;
    size_t n;
    size_t bytes;
};
SL_MUST_CHECK int sl_path_list_add(struct sl_path_list *list, struct sl_span path,
                                   struct sl_error *err);
void sl_path_list_done(struct sl_path_list *list);
SL_DEFINE_AUTO_DONE(sl_path_list, sl_path_list_done)

/* Directories of a layer that overlayfs alone would not show as the image says. */
struct sl_layer_notes {
    struct sl_path_list implicit;      /* not described by the layer */
    struct sl_path_list whiteout_dirs; /* holding whiteouts */
};
void sl_layer_notes_done(struct sl_layer_notes *notes);
SL_DEFINE_AUTO_DONE(sl_layer_notes, sl_layer_notes_done)

/* layers/…/layer.json: {"diffId","implicit":[base64],"whiteoutDirs":[base64],"created"} */
SL_MUST_CHECK int sl_layer_record_format(const struct sl_digest *diff_id,
                                         const struct sl_layer_notes *notes, int64_t created,
                                         struct sl_bytes *ret, struct sl_error *err);
/* ret must be empty. */
SL_MUST_CHECK int sl_layer_record_parse(struct sl_span text, const struct sl_digest *diff_id,
                                        struct sl_layer_notes *ret, struct sl_error *err);

/* blobs/….json: {"blob","diffId","encrypted","keyCheck":base64} */
SL_MUST_CHECK int sl_blob_record_format(const struct sl_blob_record *record, struct sl_bytes *ret,
                                        struct sl_error *err);
SL_MUST_CHECK int sl_blob_record_parse(struct sl_span text, const struct sl_digest *blob,
                                       struct sl_blob_record *ret, struct sl_error *err);

/* images/….json: {"manifest","config","diffIds":[],"encrypted","size","pulled","configJson":base64,
 * "manifestJson":base64,"verdict":{}}, the last two only where they are known. The names are in
 * refs/. */
SL_MUST_CHECK int sl_image_record_format(const struct sl_image_record *record, struct sl_bytes *ret,
                                         struct sl_error *err);
SL_MUST_CHECK int sl_image_record_parse(struct sl_span text, const struct sl_digest *manifest,
                                        struct sl_image_record **ret, struct sl_error *err);

/* refs/…: {"name","manifest"} */
SL_MUST_CHECK int sl_ref_record_format(const char *name, const struct sl_digest *manifest,
                                       struct sl_bytes *ret, struct sl_error *err);
/* ret_name is to be freed. */
SL_MUST_CHECK int sl_ref_record_parse(struct sl_span text, char **ret_name,
                                      struct sl_digest *ret_manifest, struct sl_error *err);

/* mounts/<id>/mount.json: {"target","manifest","diffIds":[],"bootId","namespace"}. The last two
 * say where a mount may be alive: see mount_table.h. */
struct sl_mount_origin {
    char boot_id[40];
    int64_t namespace_id;
};
SL_MUST_CHECK int sl_mount_record_format(const struct sl_mount_record *record,
                                         const struct sl_mount_origin *origin, struct sl_bytes *ret,
                                         struct sl_error *err);
/* alive is left false. */
SL_MUST_CHECK int sl_mount_record_parse(struct sl_span text, const char *id,
                                        struct sl_mount_record **ret,
                                        struct sl_mount_origin *ret_origin, struct sl_error *err);
