/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of layers on their way to the disk while the layers are still being unpacked, so that a
 * commit, which waits for all of them, has little left to wait for. It promises nothing: whoever
 * needs files on the disk syncs them himself.
 *
 * By syncfs() on a thread of its own. A thread that unpacks would wait, in sync_file_range() too,
 * as soon as the disk's queue is full, and there is one for each core.
 */
#pragma once

#include "sluice/core/worker_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct sl_store;

struct sl_early_sync {
    struct sl_task task;
    struct sl_store *store;
    _Atomic uint64_t n_unsynced; /* bytes noted since the last one began */
    pthread_mutex_t lock;
    struct sl_worker_pool *pool; /* of one thread, made when it is needed; under the lock */
};
void sl_early_sync_init(struct sl_early_sync *early, struct sl_store *store);
/* Waits for the one that runs. */
void sl_early_sync_done(struct sl_early_sync *early);
/* So many bytes were written. Any thread; does not wait. */
void sl_early_sync_note(struct sl_early_sync *early, uint64_t bytes);
