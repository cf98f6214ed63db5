/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of a layer whose times must wait, since every child created in one changes them;
 * and those nobody has described. Settled once, when the last entry is in place.
 */
#pragma once

#include "path_guard.h"
#include "sluice/layer_store.h"

#include <time.h>

/* Bytes of memory for one layer's directories: some 400,000 of them. */
#define SL_DIR_LEDGER_MAX ((size_t)48 * 1024 * 1024)

struct sl_dir_note {
    size_t name_at;
    uint32_t name_len;
    bool is_implicit;
    bool is_new; /* of a directory noted before: it is not the one of the layers below */
    bool is_superseded;
    uint64_t inode; /* what the name meant: a later entry may have put something else there */
    struct timespec atime, mtime;
};

struct sl_dir_ledger {
    struct sl_dir_note *notes;
    size_t n, cap;
    struct sl_bytes names;
};
void sl_dir_ledger_done(struct sl_dir_ledger *ledger);
/* Copies path. Of several notes about one directory the last counts. An empty path is the root. */
SL_MUST_CHECK int sl_dir_ledger_add(struct sl_dir_ledger *ledger, struct sl_span path,
                                    const struct sl_dir_note *note, struct sl_error *err);
/* Sets all times and reports to staged what has stayed implicit. */
SL_MUST_CHECK int sl_dir_ledger_settle(struct sl_dir_ledger *ledger, struct sl_path_guard *guard,
                                       struct sl_staged_layer *staged, struct sl_error *err);
