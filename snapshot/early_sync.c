/* SPDX-License-Identifier: Apache-2.0 */
#include "early_sync.h"

#include "sluice/core/log.h"
#include "store_dir.h"

#include <unistd.h>

/* Bytes. Often enough that what is left at a commit is a fraction of a second's work, seldom enough
 * that the journal's share of it does not show. */
enum { EARLY_SYNC_EACH = 64 * 1024 * 1024 };

/* Failures are told once for each descriptor: the commit has its own, and hears of them too. */
static void run(struct sl_task *task)
{
    struct sl_early_sync *early = (struct sl_early_sync *)task;
    struct sl_error err;
    if (syncfs(early->store->fd) < 0 &&
        sl_error_system(&err, errno, "syncing %s ahead of a commit", early->store->root) < 0)
        sl_log(SL_LOG_DEBUG, "%s", err.msg);
    sl_store_step(early->store, "synced-early");
}

void sl_early_sync_init(struct sl_early_sync *early, struct sl_store *store)
{
    *early = (struct sl_early_sync){.store = store};
    pthread_mutex_init(&early->lock, NULL);
}

void sl_early_sync_done(struct sl_early_sync *early)
{
    early->pool = sl_worker_pool_free(early->pool);
    pthread_mutex_destroy(&early->lock);
}

/* Without a thread all is left to the commit. */
static void wake(struct sl_early_sync *early)
{
    pthread_mutex_lock(&early->lock);
    if (!early->pool && sl_worker_pool_new(/* threads= */ 1, &early->pool, /* err= */ NULL) == 0)
        sl_task_init(&early->task, early->pool, run);
    if (early->pool)
        sl_task_wake(&early->task);
    pthread_mutex_unlock(&early->lock);
}

void sl_early_sync_note(struct sl_early_sync *early, uint64_t bytes)
{
    if (early->store->is_volatile ||
        atomic_fetch_add(&early->n_unsynced, bytes) + bytes < EARLY_SYNC_EACH)
        return;
    atomic_store(&early->n_unsynced, 0);
    wake(early);
}
