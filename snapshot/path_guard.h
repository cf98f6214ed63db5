/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From cleaned paths to (directory descriptor, name), never leaving the root: symlinks in the
 * middle are followed as in a chroot, the last name never. With openat2(2) where the kernel has
 * it and lets us, else component by component; paths beyond PATH_MAX always so.
 *
 * The last few directories are remembered. Whoever removes or replaces anything that is not a
 * plain file must call sl_path_guard_forget().
 */
#pragma once

#include "clean_path.h"

#include <sys/types.h>

/* Where an entry goes. dirfd is borrowed until the next call but one on the guard, or until
 * sl_path_guard_forget(); base is the path's. */
struct sl_place {
    int dirfd;
    const char *base;
};

/* Told of every directory made on the way: its path with symlinks resolved, and an open
 * descriptor (readable). */
typedef int (*sl_made_dir_fn)(void *arg, struct sl_span path, int fd, struct sl_error *err);

struct sl_path_guard;
/* root_fd is borrowed. */
SL_MUST_CHECK int sl_path_guard_new(int root_fd, bool no_openat2, sl_made_dir_fn made_dir,
                                    void *arg, struct sl_path_guard **ret, struct sl_error *err);
struct sl_path_guard *sl_path_guard_free(struct sl_path_guard *guard);
SL_DEFINE_AUTO(sl_path_guard, sl_path_guard_free)

/* path must not be the root. -ENOENT or -ENOTDIR when the parent is not there (err is set). */
SL_MUST_CHECK int sl_path_guard_find(struct sl_path_guard *guard, const struct sl_clean_path *path,
                                     struct sl_place *ret, struct sl_error *err);
/* The same, making what is missing: directories 0755 of root; what stands in the way and is
 * neither directory nor symlink is replaced. */
SL_MUST_CHECK int sl_path_guard_make(struct sl_path_guard *guard, const struct sl_clean_path *path,
                                     struct sl_place *ret, struct sl_error *err);
/* Takes a descriptor of the directory at path: entries below it are likely to follow. */
void sl_path_guard_remember(struct sl_path_guard *guard, const struct sl_clean_path *path,
                            int *fdp);
void sl_path_guard_forget(struct sl_path_guard *guard);
