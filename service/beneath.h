/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a folder, one name after the other, no symbolic link followed on the way: what
 * openat2(2) does with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, and as safe, without needing a
 * fallback for kernels that lack it. Other file systems may be mounted on the way. */
#pragma once

#include "sluice/core/bytes.h"

#include <sys/types.h>

enum { SL_BENEATH_DEPTH_MAX = 64 }; /* names in a path */

/* Checks that path (slashes at its ends and double ones do not count) has at least one name, at
 * most SL_BENEATH_DEPTH_MAX, and none that is "." or "..". -EINVAL or -ENAMETOOLONG. */
SL_MUST_CHECK int sl_beneath_check(const char *path, struct sl_error *err);

struct sl_beneath_made {
    size_t n;   /* folders that were not there, one below the other */
    size_t end; /* of the last of them, in the path */
};
/* Opens the folder (O_PATH). made not NULL: makes what is missing, of that mode, also counting it
 * when it fails later on; otherwise -ENOENT. -ENOTDIR, -ELOOP: a name is no folder, or a link. path
 * must pass the check; "" is the root itself. */
SL_MUST_CHECK int sl_beneath_open_dir(int root_fd, const char *path, mode_t mode,
                                      struct sl_beneath_made *made, int *ret_fd,
                                      struct sl_error *err);
/* Opens what is no folder; the last name is not followed either. */
SL_MUST_CHECK int sl_beneath_open_file(int root_fd, const char *path, int flags, mode_t mode,
                                       int *ret_fd, struct sl_error *err);
/* Removes the folders that were made, as far as they are empty. */
void sl_beneath_undo(int root_fd, const char *path, const struct sl_beneath_made *made);
