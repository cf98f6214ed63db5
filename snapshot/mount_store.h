/* SPDX-License-Identifier: Apache-2.0 */
/* mounts/: what was mounted from the store. */
#pragma once

#include "mount_table.h"
#include "store_dir.h"

/* One directory of mounts/. */
struct sl_stored_mount {
    struct sl_mount_record *record;
    struct sl_mount_origin origin;
    enum sl_mount_state state; /* when the tables were read */
    int fd;                    /* the directory, not locked */
};
/* Calls fn for each until it returns other than 0. fn may take record or fd, leaving NULL or -1. */
typedef int (*sl_stored_mount_fn)(void *arg, struct sl_stored_mount *mount, struct sl_error *err);
SL_MUST_CHECK int sl_mount_each(const struct sl_store *store, sl_stored_mount_fn fn, void *arg,
                                struct sl_error *err);
/* 1 when the mount is dead, and locked by its fd; nobody will bring it to life any more: whoever
 * mounts holds the lock from before there is a record until the mount stands. 0 when it lives, is
 * about to, or nobody knows. */
SL_MUST_CHECK int sl_mount_lock_dead(struct sl_stored_mount *mount, struct sl_error *err);
/* Moves mounts/<id>, which is dead and locked by the caller, out of the way and removes it. */
SL_MUST_CHECK int sl_mount_discard(const struct sl_store *store, const char *id,
                                   struct sl_error *err);
