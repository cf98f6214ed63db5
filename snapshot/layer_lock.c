/* SPDX-License-Identifier: Apache-2.0 */
/* The right to fetch a layer, across processes: an flock, which dies with its holder. */
#include "store_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

/* Waits until somebody closes the lock file (its holder, in the end), or for cancel_fd. The kernel
 * would wait in flock() too, but only a signal could end that. */
static int wait_for_close(int watch_fd, int cancel_fd, struct sl_error *err)
{
    struct pollfd fds[] = {{.fd = watch_fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
    char events[sizeof(struct inotify_event) * 16];
    int n;
    do
        n = poll(fds, 2, /* timeout= */ -1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return sl_error_system(err, errno, "waiting for another pull");
    if (fds[1].revents)
        return sl_error_set(err, SL_E_CANCELLED, ECANCELED, "cancelled");
    if (read(watch_fd, events, sizeof(events)) < 0 && errno != EAGAIN)
        return sl_error_system(err, errno, "waiting for another pull");
    return 0;
}

static int watch_file(int fd, int *ret_watch, struct sl_error *err)
{
    char self[32];
    SL_AUTO_FD watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (watch < 0 || inotify_add_watch(watch, self, IN_CLOSE) < 0)
        return sl_error_system(err, errno, "watching a lock");
    *ret_watch = sl_steal_fd(&watch);
    return 0;
}

static int take(int fd, int cancel_fd, struct sl_error *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return sl_error_system(err, errno, "locking a layer");
    if (cancel_fd < 0)
        return -EAGAIN;
    SL_AUTO_FD watch = -1;
    int r = watch_file(fd, &watch, err);
    /* Once more after the watch stands: the holder may have gone in between. */
    while (r == 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return sl_error_system(err, errno, "locking a layer");
        r = wait_for_close(watch, cancel_fd, err);
    }
    return r;
}

int sl_store_lock_layer(struct sl_store *store, const struct sl_digest *diff_id, int cancel_fd,
                        int *ret_fd, struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX] = "locks/";
    sl_digest_format(diff_id, path + strlen(path));
    for (;;) {
        const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
        SL_AUTO_FD fd = openat(store->fd, path, flags, 0600);
        if (fd < 0)
            return sl_error_system(err, errno, "opening %s/%s", store->root, path);
        int r = take(fd, cancel_fd, err);
        if (r < 0)
            return r;
        /* gc removes locks that nobody holds: one that went between open and flock is no lock. */
        struct stat st;
        if (fstat(fd, &st) < 0)
            return sl_error_system(err, errno, "checking %s/%s", store->root, path);
        if (st.st_nlink > 0) {
            *ret_fd = sl_steal_fd(&fd);
            return 0;
        }
    }
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
    *fdp = -1;
}
