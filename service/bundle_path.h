/* SPDX-License-Identifier: Apache-2.0 */
/* Where a caller wants his image: only below the folders that the operator has named. */
#pragma once

#include "beneath.h"

struct sl_bundle_path {
    char *path;       /* absolute */
    const char *rest; /* of it, below the root; borrowed from path */
    char *store;      /* absolute, without links; NULL: it is not there yet */
    int root_fd;
    struct sl_beneath_made made;
};
/* path: absolute, no "." or ".." and no control characters in it, below one of the roots (absolute,
 * NULL-terminated), and no symbolic link on the way, also not in place of its rootfs. Not in the
 * store (NULL: none), whose layers belong to all. Makes nothing; missing folders are no error. */
SL_MUST_CHECK int sl_bundle_path_open(char *const *roots, const char *store, const char *path,
                                      struct sl_bundle_path *ret, struct sl_error *err);
/* Makes the folders that are missing, 0750, and gives the bundle's own (O_PATH). When it fails
 * nothing stays. */
SL_MUST_CHECK int sl_bundle_path_make(struct sl_bundle_path *bundle, int *ret_fd,
                                      struct sl_error *err);
/* Removes what was made and is empty. */
void sl_bundle_path_undo(struct sl_bundle_path *bundle);
void sl_bundle_path_done(struct sl_bundle_path *bundle);
SL_DEFINE_AUTO_DONE(sl_bundle_path, sl_bundle_path_done)
