/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory below every part of the store. Who may touch what, at any moment:
 *
 * - `lock` is held shared while something is published or claimed, and exclusively while gc or a
 *   removal decides what nothing refers to. Never across I/O of the size of a layer.
 * - Whoever works on an entry of staging/ or a directory of mounts/ holds an flock on it; what can
 *   be locked there belongs to nobody. A layer directory is locked shared by those who need it.
 */
#pragma once

#include "early_sync.h"
#include "sluice/layer_store.h"

#include <sys/file.h>

enum {
    SL_STORE_PATH_MAX = 192, /* "layers/sha512/<128 digits>.json" and shorter */
    SL_STORE_ID_MAX = 17,    /* 16 random hex digits and the NUL */
};

/* Tests see every step of a commit, and may die in it. */
typedef void (*sl_store_step_fn)(const char *step);

struct sl_store {
    char *root;
    int fd;
    bool is_volatile; /* on tmpfs: nothing outlives the machine, syncing is pure cost */
    struct sl_early_sync early_sync;
    sl_store_step_fn step_hook;
};

static inline void sl_store_step(const struct sl_store *store, const char *step)
{
    if (store->step_hook)
        store->step_hook(step);
}

/* "<dir>/sha256/<hex><suffix>" */
void sl_store_path(char out[SL_STORE_PATH_MAX], const char *dir, const struct sl_digest *digest,
                   const char *suffix);
/* 1 when the path exists below the root, 0 when not. */
SL_MUST_CHECK int sl_store_has(const struct sl_store *store, const char *path,
                               struct sl_error *err);
/* operation: LOCK_SH or LOCK_EX. *ret is closed to unlock. */
SL_MUST_CHECK int sl_store_lock(const struct sl_store *store, int operation, int *ret,
                                struct sl_error *err);
/* flock() that does not mind signals: 0 or a negative errno. */
SL_MUST_CHECK int sl_flock(int fd, int operation);
void sl_store_random_id(char out[SL_STORE_ID_MAX]);
/* Makes the entries of a directory of the store durable, unless nothing is. */
SL_MUST_CHECK int sl_store_sync_dir(const struct sl_store *store, const char *path,
                                    struct sl_error *err);

/* Calls fn for every name in a directory of the store, "." and ".." excepted, until it returns
 * other than 0, which is returned. Names may be removed meanwhile. */
typedef int (*sl_store_name_fn)(void *arg, const char *name, struct sl_error *err);
SL_MUST_CHECK int sl_store_each_name(const struct sl_store *store, const char *path,
                                     sl_store_name_fn fn, void *arg, struct sl_error *err);
/* The same for every object "<dir>/<alg>/<hex><suffix>". Names of another form are not ours. */
typedef int (*sl_store_digest_fn)(void *arg, const struct sl_digest *digest, struct sl_error *err);
SL_MUST_CHECK int sl_store_each_digest(const struct sl_store *store, const char *dir,
                                       const char *suffix, sl_store_digest_fn fn, void *arg,
                                       struct sl_error *err);
