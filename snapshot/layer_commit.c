/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that publishes a layer. */
#include "staged_layer.h"

#include "sluice/core/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int write_layer_record(struct sl_staged_layer *staged, const struct sl_digest *diff_id,
                              struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_layer_record_format(diff_id, &staged->notes, time(NULL), &text, err);
    if (r < 0)
        return r;
    struct sl_staging_entry file = SL_STAGING_ENTRY_NONE;
    r = sl_staging_new_file(staged->store, sl_bytes_span(&text), /* sync= */ false, &file, err);
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX];
    (void)snprintf(path, sizeof(path), "%.*s/layer.json", SL_STORE_ID_MAX + 16, staged->entry.path);
    r = sl_staging_publish(staged->store, &file, path, err);
    sl_staging_drop(staged->store, &file);
    return r;
}

static int new_blob_file(struct sl_staged_layer *staged, const struct sl_blob_record *record,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_blob_record_format(record, &text, err);
    if (r < 0)
        return r;
    return sl_staging_new_file(staged->store, sl_bytes_span(&text), /* sync= */ false,
                               &staged->blob, err);
}

/* Under the shared lock. 1 when another blob brought the same content before. */
static int publish_tree(struct sl_staged_layer *staged, const char *path, struct sl_error *err)
{
    struct sl_error why = {.code = SL_OK};
    int r = sl_staging_publish(staged->store, &staged->entry, path, &why);
    if (r == 0) {
        /* From now on others may hold the layer beside us. */
        r = sl_flock(staged->entry.fd, LOCK_SH);
        return r < 0 ? sl_error_system(err, -r, "holding %s/%s", staged->store->root, path) : 0;
    }
    if (r != -EEXIST)
        return sl_error_set(err, why.code, -r, "%s", why.msg);
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    sl_cleanup_fdp(&staged->hold);
    staged->hold = openat(staged->store->fd, path, flags);
    r = staged->hold < 0 ? -errno : sl_flock(staged->hold, LOCK_SH);
    return r < 0 ? sl_error_system(err, -r, "holding %s/%s", staged->store->root, path) : 1;
}

static int publish(struct sl_staged_layer *staged, const struct sl_blob_record *record,
                   struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(staged->store, LOCK_SH, &lock, err);
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "layers", &record->diff_id, "");
    r = publish_tree(staged, path, err);
    if (r < 0)
        return r;
    sl_store_step(staged->store, r == 0 ? "renamed" : "duplicate");
    sl_store_path(path, "blobs", &record->blob, ".json");
    r = sl_staging_publish(staged->store, &staged->blob, path, err);
    if (r == 0)
        sl_store_step(staged->store, "blob-recorded");
    return r;
}

/* Of 500 layers held at once each should cost one descriptor. */
static void let_go(struct sl_staged_layer *staged)
{
    sl_cleanup_fdp(&staged->fs);
    if (staged->hold >= 0)
        sl_staging_drop(staged->store, &staged->entry);
}

/* ---- the steps, for all layers that are committed together ---- */

/* The step goes on without those that have failed. */
static void each(struct sl_layer_commit *first,
                 int (*step)(struct sl_layer_commit *commit, struct sl_error *err))
{
    for (struct sl_layer_commit *c = first; c; c = c->next)
        if (c->result >= 0)
            c->result = step(c, &c->error);
}

static int describe(struct sl_layer_commit *c, struct sl_error *err)
{
    if (!c->staged->entry.path[0])
        return sl_error_set(err, SL_E_POLICY, EPERM, "this layer was committed before");
    sl_store_step(c->staged->store, "staged");
    int r = write_layer_record(c->staged, &c->record.diff_id, err);
    if (r == 0)
        r = new_blob_file(c->staged, &c->record, err);
    if (r == 0)
        sl_store_step(c->staged->store, "described");
    return r;
}

static int publish_described(struct sl_layer_commit *c, struct sl_error *err)
{
    int r = publish(c->staged, &c->record, err);
    if (r == 0)
        let_go(c->staged);
    return r;
}

static void fail_all(struct sl_layer_commit *first, int r, const struct sl_error *err)
{
    for (struct sl_layer_commit *c = first; c; c = c->next) {
        if (c->result < 0)
            continue;
        c->result = r;
        c->error = *err;
    }
}

/* A descriptor is told of the failures of writing since it was opened: that of the oldest layer
 * hears of all. NULL: none is left to sync. */
static const struct sl_layer_commit *oldest(const struct sl_layer_commit *first)
{
    const struct sl_layer_commit *oldest = NULL;
    for (const struct sl_layer_commit *c = first; c; c = c->next)
        if (c->result >= 0 && (!oldest || c->staged->opened_ns < oldest->staged->opened_ns))
            oldest = c;
    return oldest;
}

/* One syncfs for all files of all trees and their records. */
static void sync_trees(struct sl_layer_commit *first)
{
    const struct sl_layer_commit *longest_open = oldest(first);
    if (!longest_open || longest_open->staged->store->is_volatile)
        return;
    const struct sl_staged_layer *staged = longest_open->staged;
    struct sl_error err;
    uint64_t began = sl_clock_ns();
    int r = syncfs(staged->fs);
    if (r < 0)
        r = sl_error_system(&err, errno, "syncing %s", staged->store->root);
    for (struct sl_layer_commit *c = first; c; c = c->next)
        if (c->result >= 0)
            c->sync_seconds = (double)(sl_clock_ns() - began) / 1e9;
    if (r < 0)
        fail_all(first, r, &err);
}

/* Names of one kind share a directory. */
static int sync_dir(const struct sl_store *store, const char *dir,
                    const bool is_used[SL_SHA512 + 1], struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    for (unsigned alg = SL_SHA256; alg <= SL_SHA512; alg++) {
        (void)snprintf(path, sizeof(path), "%s/%s", dir,
                       sl_digest_alg_name((enum sl_digest_alg)alg));
        int r = is_used[alg] ? sl_store_sync_dir(store, path, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static void sync_names(struct sl_layer_commit *first)
{
    bool layers[SL_SHA512 + 1] = {false}, blobs[SL_SHA512 + 1] = {false};
    const struct sl_store *store = first->staged->store;
    for (const struct sl_layer_commit *c = first; c; c = c->next) {
        layers[c->record.diff_id.alg] |= c->result >= 0;
        blobs[c->record.blob.alg] |= c->result >= 0;
    }
    struct sl_error err;
    int r = sync_dir(store, "layers", layers, &err);
    if (r == 0)
        r = sync_dir(store, "blobs", blobs, &err);
    if (r < 0)
        fail_all(first, r, &err);
    else
        sl_store_step(store, "durable");
}

static void drop_records(struct sl_layer_commit *first)
{
    for (struct sl_layer_commit *c = first; c; c = c->next)
        sl_staging_drop(c->staged->store, &c->staged->blob);
}

void sl_layers_commit(struct sl_layer_commit *first, const struct sl_gate_pass *pass)
{
    if (!first)
        return;
    struct sl_error err;
    if (!pass)
        fail_all(
            first,
            sl_error_set(&err, SL_E_POLICY, EPERM, "a layer may only be committed by the gate"),
            &err);
    each(first, describe);
    sync_trees(first);
    if (oldest(first))
        sl_store_step(first->staged->store, "synced");
    each(first, publish_described);
    drop_records(first);
    if (oldest(first))
        sync_names(first);
}
