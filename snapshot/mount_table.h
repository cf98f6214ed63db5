/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted, as /proc/<pid>/mountinfo tells (proc_pid_mountinfo(5)). */
#pragma once

#include "store_records.h"

struct sl_mounted {
    char *point;
    char *overlay; /* the source of an overlay, NULL for other file systems */
};
struct sl_mount_table {
    struct sl_mounted *mounts; /* in order of mounting */
    size_t n;
};
/* pid: "self" or a number. ret must be empty. */
SL_MUST_CHECK int sl_mount_table_load(const char *pid, struct sl_mount_table *ret,
                                      struct sl_error *err);
void sl_mount_table_done(struct sl_mount_table *table);
SL_DEFINE_AUTO_DONE(sl_mount_table, sl_mount_table_done)
/* The last of them, or NULL. */
const struct sl_mounted *sl_mount_table_find_point(const struct sl_mount_table *table,
                                                   const char *point);
const struct sl_mounted *sl_mount_table_find_overlay(const struct sl_mount_table *table,
                                                     const char *source);

/* The source our overlays have, so that they are known wherever they were moved or bound to. */
enum { SL_MOUNT_SOURCE_MAX = 64 };
void sl_mount_source(const char *id, char out[SL_MOUNT_SOURCE_MAX]);
/* The id in the source of an overlay; NULL: it is not one of ours. */
const char *sl_mount_source_id(const char *source);

/* Boot and mount namespace of this thread. */
SL_MUST_CHECK int sl_mount_origin_here(struct sl_mount_origin *ret, struct sl_error *err);

/*
 * A mount lives as long as any mount namespace shows it, also one that was copied from the one it
 * was made in, as that of a container is: they are looked up through the processes that live there.
 * A namespace kept by a file descriptor or a bind mount alone is not looked for. When no process
 * lives in the one it was made in, and this process does not see all processes (it is not in the
 * first pid namespace), nobody knows, and the mount is left alone until the next boot.
 */
enum sl_mount_state { SL_MOUNT_DEAD, SL_MOUNT_ALIVE, SL_MOUNT_UNKNOWN };
/* here: the table of "self" and the origin of this thread. */
SL_MUST_CHECK int sl_mount_state_find(const char *id, const struct sl_mount_origin *origin,
                                      const struct sl_mount_table *here,
                                      const struct sl_mount_origin *origin_here,
                                      enum sl_mount_state *ret, struct sl_error *err);
