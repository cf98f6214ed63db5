/* SPDX-License-Identifier: Apache-2.0 */
#include "staging.h"

#include "remove_tree.h"
#include "sluice/core/log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Collisions with a sweep, not with other names: a few are plenty. */
enum { CLAIM_TRIES = 100 };

static const int open_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

static void new_path(char out[SL_STORE_PATH_MAX])
{
    char id[SL_STORE_ID_MAX];
    sl_store_random_id(id);
    (void)snprintf(out, SL_STORE_PATH_MAX, "staging/%s", id);
}

static int create(const struct sl_store *store, const char *path, bool is_dir)
{
    if (!is_dir)
        return openat(store->fd, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (mkdirat(store->fd, path, 0700) < 0)
        return -1;
    int fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int saved = errno;
    if (fd < 0)
        (void)unlinkat(store->fd, path, AT_REMOVEDIR);
    errno = saved;
    return fd;
}

/* Between creation and flock a sweep may have taken the entry for rubbish. Then it is locked or
 * gone, and another name is tried; once it is ours and still there, no sweep gets it. */
static int claim(const struct sl_store *store, bool is_dir, struct sl_staging_entry *ret)
{
    for (int i = 0; i < CLAIM_TRIES; i++) {
        new_path(ret->path);
        SL_AUTO_FD fd = create(store, ret->path, is_dir);
        if (fd < 0 && errno != ENOENT && errno != EEXIST)
            return -errno;
        struct stat st;
        if (fd < 0 || sl_flock(fd, LOCK_EX | LOCK_NB) < 0)
            continue;
        if (fstat(fd, &st) == 0 && st.st_nlink > 0) {
            ret->fd = sl_steal_fd(&fd);
            return 0;
        }
    }
    return -EBUSY;
}

int sl_staging_new_dir(const struct sl_store *store, struct sl_staging_entry *ret,
                       struct sl_error *err)
{
    struct sl_staging_entry entry = SL_STAGING_ENTRY_NONE;
    int r = claim(store, /* is_dir= */ true, &entry);
    if (r < 0)
        return sl_error_system(err, -r, "creating a directory in %s/staging", store->root);
    *ret = entry;
    return 0;
}

int sl_staging_new_file(const struct sl_store *store, struct sl_span text, bool sync,
                        struct sl_staging_entry *ret, struct sl_error *err)
{
    struct sl_staging_entry entry = SL_STAGING_ENTRY_NONE;
    int r = claim(store, /* is_dir= */ false, &entry);
    if (r == 0)
        r = sl_write_all(entry.fd, text);
    if (r == 0 && sync && !store->is_volatile && fsync(entry.fd) < 0)
        r = -errno;
    if (r < 0) {
        sl_staging_drop(store, &entry);
        return sl_error_system(err, -r, "writing a record in %s/staging", store->root);
    }
    *ret = entry;
    return 0;
}

int sl_staging_publish(const struct sl_store *store, struct sl_staging_entry *entry,
                       const char *path, struct sl_error *err)
{
    if (renameat(store->fd, entry->path, store->fd, path) < 0)
        return sl_error_system(err, errno == ENOTEMPTY ? EEXIST : errno, "publishing %s/%s",
                               store->root, path);
    entry->path[0] = '\0';
    return 0;
}

void sl_staging_drop(const struct sl_store *store, struct sl_staging_entry *entry)
{
    int saved = errno;
    if (entry->fd >= 0) {
        /* What cannot be removed now is rubbish for the next sweep. */
        if (entry->path[0] && sl_remove_tree(store->fd, entry->path, /* err= */ NULL) < 0)
            sl_log(SL_LOG_DEBUG, "%s/%s is left for the next clean-up", store->root, entry->path);
        (void)close(entry->fd);
    }
    *entry = (struct sl_staging_entry)SL_STAGING_ENTRY_NONE;
    errno = saved;
}

int sl_staging_discard(const struct sl_store *store, const char *path,
                       char ret_name[SL_STORE_ID_MAX], struct sl_error *err)
{
    char to[SL_STORE_PATH_MAX];
    new_path(to);
    if (renameat(store->fd, path, store->fd, to) < 0)
        return sl_error_system(err, errno, "moving %s/%s away", store->root, path);
    if (ret_name)
        memcpy(ret_name, to + strlen("staging/"), SL_STORE_ID_MAX);
    return 0;
}

struct sweep {
    const struct sl_store *store;
    int staging;
    bool dry_run;
    unsigned n;
};

static int sweep_entry(void *arg, const char *name, struct sl_error *err)
{
    struct sweep *sweep = arg;
    SL_AUTO_FD fd = openat(sweep->staging, name, open_flags);
    /* A symlink or a socket cannot be held by anybody. */
    bool can_hold = fd >= 0 || (errno != ELOOP && errno != ENXIO);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (can_hold && (fd < 0 || sl_flock(fd, LOCK_EX | LOCK_NB) < 0))
        return 0;
    sweep->n++;
    return sweep->dry_run ? 0 : sl_remove_tree(sweep->staging, name, err);
}

int sl_staging_sweep(const struct sl_store *store, bool dry_run, unsigned *ret_removed,
                     struct sl_error *err)
{
    SL_AUTO_FD fd = openat(store->fd, "staging", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "opening %s/staging", store->root);
    struct sweep sweep = {.store = store, .staging = fd, .dry_run = dry_run};
    int r = sl_store_each_name(store, "staging", sweep_entry, &sweep, err);
    if (r < 0)
        return sl_error_wrap(err, r, "cleaning %s/staging", store->root);
    if (ret_removed)
        *ret_removed = sweep.n;
    return 0;
}
