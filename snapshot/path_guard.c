/* SPDX-License-Identifier: Apache-2.0 */
#include "path_guard.h"

#include "path_walk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    REMEMBERED = 8,      /* directories kept open */
    OPENAT2_RETRIES = 8, /* -EAGAIN means a rename somewhere on the machine came between */
};

struct remembered {
    char *path;
    size_t len, cap;
    int fd;
};

struct sl_path_guard {
    int root_fd;
    bool no_openat2;
    sl_made_dir_fn made_dir;
    void *arg;
    struct remembered seen[REMEMBERED];
    size_t hit, next; /* the slot used last, and the one to be replaced */
};

int sl_path_guard_new(int root_fd, bool no_openat2, sl_made_dir_fn made_dir, void *arg,
                      struct sl_path_guard **ret, struct sl_error *err)
{
    struct sl_path_guard *guard = calloc(1, sizeof(*guard));
    if (!guard)
        return sl_error_oom(err);
    guard->root_fd = root_fd;
    guard->no_openat2 = no_openat2;
    guard->made_dir = made_dir;
    guard->arg = arg;
    for (size_t i = 0; i < REMEMBERED; i++)
        guard->seen[i].fd = -1;
    *ret = guard;
    return 0;
}

void sl_path_guard_forget(struct sl_path_guard *guard)
{
    for (size_t i = 0; i < REMEMBERED; i++) {
        sl_cleanup_fdp(&guard->seen[i].fd);
        guard->seen[i].fd = -1;
    }
}

struct sl_path_guard *sl_path_guard_free(struct sl_path_guard *guard)
{
    if (!guard)
        return NULL;
    sl_path_guard_forget(guard);
    for (size_t i = 0; i < REMEMBERED; i++)
        free(guard->seen[i].path);
    free(guard);
    return NULL;
}

static int recall(struct sl_path_guard *guard, struct sl_span path)
{
    for (size_t n = 0; n < REMEMBERED; n++) {
        size_t i = (guard->hit + n) % REMEMBERED;
        const struct remembered *r = &guard->seen[i];
        if (r->fd >= 0 && r->len == path.len && memcmp(r->path, path.data, path.len) == 0) {
            guard->hit = i;
            return r->fd;
        }
    }
    return -1;
}

/* Takes fd. Without memory it is not remembered but kept open all the same: it is in use. */
static void keep(struct sl_path_guard *guard, struct sl_span path, int fd)
{
    /* The place handed out before this one stays good: a hardlink needs two. */
    if (guard->next == guard->hit)
        guard->next = (guard->next + 1) % REMEMBERED;
    struct remembered *slot = &guard->seen[guard->next];
    guard->hit = guard->next;
    guard->next = (guard->next + 1) % REMEMBERED;
    if (slot->fd >= 0)
        (void)close(slot->fd);
    slot->fd = fd;
    slot->len = SIZE_MAX;
    if (path.len >= slot->cap) {
        char *more = realloc(slot->path, path.len + 128);
        if (!more)
            return;
        slot->path = more;
        slot->cap = path.len + 128;
    }
    memcpy(slot->path, path.data, path.len);
    slot->path[path.len] = 0;
    slot->len = path.len;
}

/* -ENOSYS (no message): this kernel, or this path, wants the walk. */
static int open_at_once(struct sl_path_guard *guard, struct sl_span path, int *ret_fd)
{
    char text[PATH_MAX];
    if (guard->no_openat2 || path.len >= sizeof(text))
        return -ENOSYS;
    memcpy(text, path.data, path.len);
    text[path.len] = 0;
    struct open_how how = {
        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    for (int tries = 0; tries < OPENAT2_RETRIES; tries++) {
        long fd = syscall(SYS_openat2, guard->root_fd, text, &how, sizeof(how));
        if (fd >= 0) {
            *ret_fd = (int)fd;
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    /* Filters of system calls answer EPERM, and a directory gives no other reason for it. */
    if (errno == ENOSYS || errno == EPERM)
        guard->no_openat2 = true;
    return errno == EPERM || errno == EAGAIN || errno == EINTR ? -ENOSYS : -errno;
}

static int find(struct sl_path_guard *guard, const struct sl_clean_path *path, bool make,
                struct sl_place *ret, struct sl_error *err)
{
    struct sl_span parent = sl_clean_path_parent(path);
    int fd = parent.len ? recall(guard, parent) : guard->root_fd;
    if (fd < 0) {
        int r = open_at_once(guard, parent, &fd);
        if (r == -ENOSYS || (make && (r == -ENOENT || r == -ENOTDIR))) {
            struct sl_path_walk walk = {.root_fd = guard->root_fd,
                                        .made_dir = make ? guard->made_dir : NULL,
                                        .arg = guard->arg};
            r = sl_path_walk_run(&walk, parent, &fd, err);
            if (walk.replaced)
                sl_path_guard_forget(guard);
        } else if (r < 0) {
            r = r == -ELOOP ? sl_error_set(err, SL_E_FORMAT, ELOOP, "too many symlinks on the path")
                            : sl_error_system(err, -r, "open its directory");
        }
        if (r < 0)
            return r;
        keep(guard, parent, fd);
    }
    *ret = (struct sl_place){.dirfd = fd, .base = sl_clean_path_base(path)};
    return 0;
}

int sl_path_guard_find(struct sl_path_guard *guard, const struct sl_clean_path *path,
                       struct sl_place *ret, struct sl_error *err)
{
    return find(guard, path, /* make= */ false, ret, err);
}

int sl_path_guard_make(struct sl_path_guard *guard, const struct sl_clean_path *path,
                       struct sl_place *ret, struct sl_error *err)
{
    return find(guard, path, /* make= */ true, ret, err);
}

void sl_path_guard_remember(struct sl_path_guard *guard, const struct sl_clean_path *path, int *fdp)
{
    keep(guard, sl_clean_path_span(path), sl_steal_fd(fdp));
}
