/* SPDX-License-Identifier: Apache-2.0 */
#include "staging.h"
#include "store_records.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { BLOB_RECORD_MAX = 4096 }; /* bytes */

static const char *const store_dirs[] = {
    "layers",       "layers/sha256", "layers/sha512", "blobs",         "blobs/sha256",
    "blobs/sha512", "images",        "images/sha256", "images/sha512", "refs",
    "mounts",       "staging",       "locks",
};

/* mkdir -p. What exists keeps its mode. */
static int make_root(const char *root)
{
    char path[PATH_MAX];
    size_t len = strlen(root);
    if (len == 0 || len >= sizeof(path))
        return len ? -ENAMETOOLONG : -ENOENT;
    memcpy(path, root, len + 1);
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_root(struct sl_store *store, const char *root)
{
    int r = make_root(root);
    if (r < 0)
        return r;
    store->root = realpath(root, NULL);
    if (!store->root)
        return -errno;
    store->fd = open(store->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    if (store->fd < 0 || fstatfs(store->fd, &fs) < 0)
        return -errno;
    store->is_volatile = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
    for (size_t i = 0; i < sizeof(store_dirs) / sizeof(store_dirs[0]); i++)
        if (mkdirat(store->fd, store_dirs[i], 0700) < 0 && errno != EEXIST)
            return -errno;
    return 0;
}

int sl_store_open(const char *root, struct sl_store **ret, struct sl_error *err)
{
    SL_AUTO(sl_store) store = calloc(1, sizeof(*store));
    if (!store)
        return sl_error_oom(err);
    store->fd = -1;
    sl_early_sync_init(&store->early_sync, store);
    int r = open_root(store, root);
    if (r < 0)
        return sl_error_system(err, -r, "opening the store %s", root);
    /* Rubbish that resists costs space only, and gc will complain about it. */
    r = sl_staging_sweep(store, /* dry_run= */ false, /* ret_removed= */ NULL, /* err= */ NULL);
    (void)r;
    *ret = sl_steal(&store);
    return 0;
}

struct sl_store *sl_store_close(struct sl_store *store)
{
    if (!store)
        return NULL;
    sl_early_sync_done(&store->early_sync);
    sl_cleanup_fdp(&store->fd);
    free(store->root);
    free(store);
    return NULL;
}

const char *sl_store_root(const struct sl_store *store)
{
    return store->root;
}

int sl_store_has_layer(struct sl_store *store, const struct sl_digest *diff_id,
                       struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "layers", diff_id, "");
    return sl_store_has(store, path, err);
}

/* A record that cannot be read is no record: the blob is fetched again and the record replaced. */
int sl_store_find_blob(struct sl_store *store, const struct sl_digest *blob,
                       struct sl_blob_record *ret, struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "blobs", blob, ".json");
    int r = sl_store_has(store, path, err);
    if (r <= 0)
        return r;
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_blob_record record;
    struct sl_error why = {.code = SL_OK};
    r = sl_read_file(store->fd, path, BLOB_RECORD_MAX, &text, &why);
    if (r == 0)
        r = sl_blob_record_parse(sl_bytes_span(&text), blob, &record, &why);
    bool is_gone = r == -ENOENT;
    bool is_broken = r < 0 && (why.code == SL_E_FORMAT || why.code == SL_E_LIMIT);
    if (is_gone || is_broken)
        return 0;
    if (r < 0)
        return sl_error_set(err, why.code, -r, "%s", why.msg);
    r = sl_store_has_layer(store, &record.diff_id, err);
    if (r > 0)
        *ret = record;
    return r;
}

/* Under the shared lock no gc decides. Only a committing process may make this wait, for the
 * moment in which its own lock becomes a shared one. */
int sl_store_hold_layer(struct sl_store *store, const struct sl_digest *diff_id, int *ret_fd,
                        struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(store, LOCK_SH, &lock, err);
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "layers", diff_id, "");
    SL_AUTO_FD fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    r = fd < 0 ? -errno : sl_flock(fd, LOCK_SH);
    if (r < 0)
        return sl_error_system(err, -r, "holding %s/%s", store->root, path);
    *ret_fd = sl_steal_fd(&fd);
    return 1;
}
