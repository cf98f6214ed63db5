/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of staging/: what is not finished, and what is no longer wanted. */
#pragma once

#include "store_dir.h"

/* An entry, ours as long as fd is open: a directory (for a tree) or a file (for a record). */
struct sl_staging_entry {
    int fd;
    char path[SL_STORE_PATH_MAX]; /* "staging/<id>"; empty once it was moved away */
};
#define SL_STAGING_ENTRY_NONE                                                                      \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

SL_MUST_CHECK int sl_staging_new_dir(const struct sl_store *store, struct sl_staging_entry *ret,
                                     struct sl_error *err);
/* A file that holds text; sync makes its content durable now (unless nothing is). */
SL_MUST_CHECK int sl_staging_new_file(const struct sl_store *store, struct sl_span text, bool sync,
                                      struct sl_staging_entry *ret, struct sl_error *err);
/* Renames the entry to its place in the store; a directory that is not empty stays what it is
 * (-EEXIST). */
SL_MUST_CHECK int sl_staging_publish(const struct sl_store *store, struct sl_staging_entry *entry,
                                     const char *path, struct sl_error *err);
/* Removes the entry unless it was published; closes it. */
void sl_staging_drop(const struct sl_store *store, struct sl_staging_entry *entry);

/* Moves an object of the store to a new name in staging/, to be removed by a sweep.
 * ret_name may be NULL. */
SL_MUST_CHECK int sl_staging_discard(const struct sl_store *store, const char *path,
                                     char ret_name[SL_STORE_ID_MAX], struct sl_error *err);
/* Removes every entry that nobody holds, or only counts them. *ret_removed may be NULL. */
SL_MUST_CHECK int sl_staging_sweep(const struct sl_store *store, bool dry_run,
                                   unsigned *ret_removed, struct sl_error *err);
