/* SPDX-License-Identifier: Apache-2.0 */
/* Root file systems: overlay mounts of stored layers. */
#pragma once

#include "sluice/layer_store.h"

struct sl_mount_record {
    char *id;
    char *target; /* absolute path of the mount point */
    struct sl_digest manifest;
    struct sl_digest *diff_ids; /* bottom first, duplicates kept */
    size_t n_layers;
    bool alive;    /* the overlay is mounted right now: in this mount namespace, or
                      in another, as far as /proc shows it */
    bool in_place; /* at target, in this mount namespace, with nothing over it */
};
struct sl_mount_record *sl_mount_record_free(struct sl_mount_record *record);
SL_DEFINE_AUTO(sl_mount_record, sl_mount_record_free)

struct sl_mount_options {
    bool read_only;
    bool no_lowerdir_plus; /* for tests: use mount(2) as on an old kernel */
};

/* Mounts the layers of an image, with a fresh upper directory, at target (created if missing,
 * must be an empty directory and not a mount point). Directories that layers did not describe
 * get the attributes of the layers below. On failure nothing stays. */
SL_MUST_CHECK int sl_store_mount(struct sl_store *store, const struct sl_image_record *image,
                                 const char *target, const struct sl_mount_options *options,
                                 struct sl_error *err);
/* Unmounts what sl_store_mount() mounted at target and removes its upper directory; to be called
 * in the mount namespace of the mount. While the overlay is bound to another place as well, its
 * directory stays until gc finds it unused. Mounts that a crash or a reboot ended are collected by
 * gc; one of another mount namespace is when nobody lives there, or at the next boot. */
SL_MUST_CHECK int sl_store_unmount(struct sl_store *store, const char *target,
                                   struct sl_error *err);
/* Removes the upper directories of mounts that were ended by others, and nothing else; *ret is how
 * many. */
SL_MUST_CHECK int sl_store_forget_dead_mounts(struct sl_store *store, unsigned *ret,
                                              struct sl_error *err);
/* All mounts, a NULL-terminated list, each to be freed, then the list. */
SL_MUST_CHECK int sl_store_list_mounts(struct sl_store *store, struct sl_mount_record ***ret,
                                       struct sl_error *err);
/* Only those that this mount namespace shows at path (absolute, without links) or above it: costs
 * one look at its table of mounts, however many there are. */
SL_MUST_CHECK int sl_store_list_mounts_above(struct sl_store *store, const char *path,
                                             struct sl_mount_record ***ret, struct sl_error *err);
