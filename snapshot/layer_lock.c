/* SPDX-License-Identifier: Apache-2.0 */
/* The right to fetch a layer, across processes: an flock, which dies with its holder. */
#include "store_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel would wait in flock() too, but only a signal could end that. A file that is watched
 * already is not watched twice. */
static int watch_file(int fd, int *watch_fd, struct sl_error *err)
{
    char self[32];
    if (*watch_fd < 0)
        *watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (*watch_fd >= 0 && inotify_add_watch(*watch_fd, self, IN_CLOSE) >= 0)
        return 0;
    /* It says so, and no disk is full, for which somebody might want to make room. */
    if (errno == ENOSPC)
        return sl_error_set(err, SL_E_LIMIT, EMFILE,
                            "watching a lock: fs.inotify.max_user_watches is reached; raise it");
    return sl_error_system(err, errno, "watching a lock");
}

static int try_flock(int fd, struct sl_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? -EAGAIN : sl_error_system(err, errno, "locking a layer");
}

static int take(int fd, int *watch_fd, struct sl_error *err)
{
    int r = try_flock(fd, err);
    if (r != -EAGAIN || !watch_fd)
        return r;
    r = watch_file(fd, watch_fd, err);
    /* Once more after the watch stands: the holder may have gone in between. */
    return r < 0 ? r : try_flock(fd, err);
}

static int open_lock(const struct sl_store *store, const char *path, int *fdp, struct sl_error *err)
{
    if (*fdp < 0)
        *fdp = openat(store->fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*fdp < 0)
        return sl_error_system(err, errno, "opening %s/%s", store->root, path);
    return 0;
}

/* -EAGAIN leaves the file open in *fdp. */
static int lock(const struct sl_store *store, const char *path, int *watch_fd, int *fdp,
                struct sl_error *err)
{
    for (;;) {
        struct stat st;
        int r = open_lock(store, path, fdp, err);
        if (r == 0)
            r = take(*fdp, watch_fd, err);
        if (r < 0)
            return r;
        /* gc removes locks that nobody holds: one that went between open and flock is no lock. */
        if (fstat(*fdp, &st) < 0)
            return sl_error_system(err, errno, "checking %s/%s", store->root, path);
        if (st.st_nlink > 0)
            return 0;
        sl_cleanup_fdp(fdp);
    }
}

int sl_store_lock_layer(struct sl_store *store, const struct sl_digest *diff_id,
                        struct sl_layer_wait *wait, int *ret_fd, struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX] = "locks/";
    SL_AUTO_FD fd = wait ? sl_steal_fd(&wait->fd) : -1;
    sl_digest_format(diff_id, path + strlen(path));
    int r = lock(store, path, wait ? wait->watch_fd : NULL, &fd, err);
    if (r == 0)
        *ret_fd = sl_steal_fd(&fd);
    else if (r == -EAGAIN && wait)
        wait->fd = sl_steal_fd(&fd);
    return r;
}

int sl_store_is_layer_locked(struct sl_store *store, const struct sl_digest *diff_id,
                             struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX] = "locks/";
    sl_digest_format(diff_id, path + strlen(path));
    SL_AUTO_FD fd = openat(store->fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return sl_error_system(err, errno, "opening %s/%s", store->root, path);
    int r = sl_flock(fd, LOCK_SH | LOCK_NB);
    return r == -EWOULDBLOCK ? 1 : r < 0 ? sl_error_system(err, -r, "checking a lock") : 0;
}

void sl_store_unlock_layer(struct sl_store *store, const struct sl_digest *diff_id, int *fdp)
{
    char path[SL_STORE_PATH_MAX] = "locks/";
    if (*fdp < 0)
        return;
    sl_digest_format(diff_id, path + strlen(path));
    /* Whoever waits for this file finds it unlinked, and makes a new one. */
    (void)unlinkat(store->fd, path, 0);
    sl_cleanup_fdp(fdp);
}
