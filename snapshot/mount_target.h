/* SPDX-License-Identifier: Apache-2.0 */
/* Where an image is to appear. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_mount_target {
    int fd;           /* the directory */
    char *path;       /* absolute, without symlinks */
    char *given;      /* as the caller wrote it */
    size_t n_created; /* directories at its end that were not there */
};
/* Creates what is missing; refuses a mount point (-EBUSY) and a directory that is not empty
 * (-ENOTEMPTY). ret must be {.fd = -1}. On failure nothing stays. */
SL_MUST_CHECK int sl_mount_target_open(const char *given, struct sl_mount_target *ret,
                                       struct sl_error *err);
/* Removes the directories it created, after a failure. */
void sl_mount_target_undo(struct sl_mount_target *target);
void sl_mount_target_done(struct sl_mount_target *target);
SL_DEFINE_AUTO_DONE(sl_mount_target, sl_mount_target_done)
