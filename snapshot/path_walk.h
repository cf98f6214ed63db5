/* SPDX-License-Identifier: Apache-2.0 */
/* One directory after the other, resolving symlinks as in a chroot: what openat2(2) does with
 * RESOLVE_IN_ROOT, for kernels without it and for paths it cannot take. */
#pragma once

#include "path_guard.h"

enum { SL_SYMLINKS_MAX = 40 }; /* on one path; as the kernel has it */

struct sl_path_walk {
    int root_fd;
    sl_made_dir_fn made_dir; /* NULL: make nothing */
    void *arg;
    bool replaced; /* out: something was removed to make a directory */
};

/* Opens a directory (O_PATH). Failures as for sl_path_guard_find(). */
SL_MUST_CHECK int sl_path_walk_run(struct sl_path_walk *walk, struct sl_span path, int *ret_fd,
                                   struct sl_error *err);
