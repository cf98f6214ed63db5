/* SPDX-License-Identifier: Apache-2.0 */
/* The one place that publishes a layer. */
#include "staged_layer.h"

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

static int new_blob_file(struct sl_store *store, const struct sl_blob_record *record,
                         struct sl_staging_entry *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_blob_record_format(record, &text, err);
    if (r < 0)
        return r;
    return sl_staging_new_file(store, sl_bytes_span(&text), /* sync= */ false, ret, err);
}

/* One syncfs for all files of the tree and both records. */
static int sync_staged(struct sl_staged_layer *staged, struct sl_error *err)
{
    if (staged->store->is_volatile || syncfs(staged->fs) == 0)
        return 0;
    return sl_error_system(err, errno, "syncing %s", staged->store->root);
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
                   struct sl_staging_entry *blob, struct sl_error *err)
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
    r = sl_staging_publish(staged->store, blob, path, err);
    if (r == 0)
        sl_store_step(staged->store, "blob-recorded");
    return r;
}

static int sync_names(const struct sl_store *store, const struct sl_blob_record *record,
                      struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    (void)snprintf(path, sizeof(path), "layers/%s", sl_digest_alg_name(record->diff_id.alg));
    int r = sl_store_sync_dir(store, path, err);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "blobs/%s", sl_digest_alg_name(record->blob.alg));
    return sl_store_sync_dir(store, path, err);
}

/* Of 500 layers held at once each should cost one descriptor. */
static void let_go(struct sl_staged_layer *staged)
{
    sl_cleanup_fdp(&staged->fs);
    if (staged->hold >= 0)
        sl_staging_drop(staged->store, &staged->entry);
}

int sl_layer_commit(struct sl_staged_layer *staged, const struct sl_gate_pass *pass,
                    const struct sl_blob_record *record, struct sl_error *err)
{
    struct sl_store *store = staged->store;
    if (!pass || !staged->entry.path[0])
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            pass ? "this layer was committed before"
                                 : "a layer may only be committed by the gate");
    struct sl_staging_entry blob = SL_STAGING_ENTRY_NONE;
    sl_store_step(store, "staged");
    int r = write_layer_record(staged, &record->diff_id, err);
    if (r == 0)
        r = new_blob_file(store, record, &blob, err);
    if (r == 0)
        sl_store_step(store, "described");
    if (r == 0)
        r = sync_staged(staged, err);
    if (r == 0)
        sl_store_step(store, "synced");
    if (r == 0)
        r = publish(staged, record, &blob, err);
    sl_staging_drop(store, &blob);
    if (r == 0)
        let_go(staged);
    if (r == 0)
        r = sync_names(store, record, err);
    if (r == 0)
        sl_store_step(store, "durable");
    return r;
}
