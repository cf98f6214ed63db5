/* SPDX-License-Identifier: Apache-2.0 */
/* A file that appears in a layout whole or not at all: written under a name of its own beside its
 * place, synced, and renamed. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_layout_file {
    int dirfd;     /* where it is written; borrowed */
    int fd;        /* -1 once it is closed */
    char name[32]; /* ".upload-…"; empty once it has its own */
};
SL_MUST_CHECK int sl_layout_file_create(int dirfd, struct sl_layout_file *ret,
                                        struct sl_error *err);
SL_MUST_CHECK int sl_layout_file_write(struct sl_layout_file *file, struct sl_span bytes,
                                       struct sl_error *err);
/* Makes the bytes last. Blocks for as long as the disk needs. */
SL_MUST_CHECK int sl_layout_file_sync(struct sl_layout_file *file, struct sl_error *err);
/* Gives it its name, in place of any file that has it. */
SL_MUST_CHECK int sl_layout_file_rename(struct sl_layout_file *file, int dirfd, const char *path,
                                        struct sl_error *err);
/* Removes it unless it was renamed. */
void sl_layout_file_done(struct sl_layout_file *file);
SL_DEFINE_AUTO_DONE(sl_layout_file, sl_layout_file_done)
/* All of these. */
SL_MUST_CHECK int sl_layout_file_put(int dirfd, const char *path, struct sl_span bytes,
                                     struct sl_error *err);
