/* SPDX-License-Identifier: Apache-2.0 */
#include "remove_tree.h"

#include "dir_entries.h"

#include "sluice/core/cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Directories open at once. What lies deeper is first moved up to the top of the tree, so that
 * neither descriptors, stack nor path length depend on what an image chose. */
enum { DEPTH_MAX = 32 };

struct mount_place {
    uint32_t dev_major;
    uint32_t dev_minor;
    uint64_t mount_id; /* 0 before Linux 5.8 */
};

struct removal {
    struct mount_place place;
    int top;         /* the directory being removed */
    unsigned serial; /* of names given to directories that were moved up */
};

static int empty_dir(struct removal *rm, int fd, unsigned depth, size_t *n_gone);

static int find_place(int fd, struct mount_place *ret)
{
    struct statx sx;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &sx) < 0)
        return -errno;
    ret->dev_major = sx.stx_dev_major;
    ret->dev_minor = sx.stx_dev_minor;
    ret->mount_id = sx.stx_mask & STATX_MNT_ID ? sx.stx_mnt_id : 0;
    return 0;
}

static bool is_same_place(const struct mount_place *a, const struct mount_place *b)
{
    return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
           a->mount_id == b->mount_id;
}

/* A directory of mode 0 stops its owner when that is not root; by descriptor, so that no symlink
 * put in its place meanwhile gets the new mode. */
static int unlock_dir(int dirfd, const char *name)
{
    SL_AUTO_FD fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, 0700) < 0 ? -errno : 0;
}

static int open_dir(int dirfd, const char *name, const struct mount_place *place, int *ret)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    SL_AUTO_FD fd = openat(dirfd, name, flags);
    if (fd < 0 && errno == EACCES) {
        int r = unlock_dir(dirfd, name);
        if (r < 0)
            return r;
        fd = openat(dirfd, name, flags);
    }
    if (fd < 0)
        return -errno;
    struct mount_place here = {0};
    int r = find_place(fd, &here);
    if (r < 0)
        return r;
    if (!is_same_place(&here, place))
        return -EXDEV;
    *ret = sl_steal_fd(&fd);
    return 0;
}

static int move_up(struct removal *rm, int dirfd, const char *name)
{
    for (;;) {
        char up[32];
        (void)snprintf(up, sizeof(up), ".moved-up-%u", rm->serial++);
        if (renameat(dirfd, name, rm->top, up) == 0)
            return 0;
        bool is_taken = errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR;
        if (!is_taken)
            return -errno;
    }
}

/* Directories may gain entries from move_up() while they are read, and some file systems skip
 * entries when others vanish: passes go on as long as they get somewhere. */
static int remove_dir(struct removal *rm, int dirfd, const char *name, unsigned depth)
{
    for (;;) {
        int fd = -1;
        size_t n_gone = 0;
        int r = open_dir(dirfd, name, &rm->place, &fd);
        if (r == 0)
            r = empty_dir(rm, fd, depth, &n_gone);
        if (r < 0)
            return r;
        if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0)
            return 0;
        if ((errno != ENOTEMPTY && errno != EEXIST) || n_gone == 0)
            return -errno;
    }
}

static int remove_entry(struct removal *rm, int dirfd, const struct dirent *entry, unsigned depth)
{
    if (entry->d_type != DT_DIR) {
        if (unlinkat(dirfd, entry->d_name, 0) == 0 || errno == ENOENT)
            return 0;
        if (errno != EISDIR)
            return -errno;
    }
    int r = depth < DEPTH_MAX ? remove_dir(rm, dirfd, entry->d_name, depth + 1)
                              : move_up(rm, dirfd, entry->d_name);
    return r == -ENOENT ? 0 : r;
}

/* Takes fd. */
static int empty_dir(struct removal *rm, int fd, unsigned depth, size_t *n_gone)
{
    DIR *dir = sl_dir_open(fd);
    if (!dir)
        return -errno;
    const struct dirent *entry = NULL;
    int r = 0;
    while (r >= 0 && (r = sl_dir_next(dir, &entry)) > 0) {
        r = remove_entry(rm, fd, entry, depth);
        (*n_gone)++;
    }
    (void)closedir(dir);
    return r;
}

static int remove_top(int dirfd, const char *name)
{
    if (unlinkat(dirfd, name, 0) == 0)
        return 0;
    if (errno != EISDIR)
        return -errno;
    struct removal rm = {.top = -1};
    int r = find_place(dirfd, &rm.place);
    if (r == 0)
        r = open_dir(dirfd, name, &rm.place, &rm.top);
    if (r < 0)
        return r;
    r = remove_dir(&rm, dirfd, name, 1);
    (void)close(rm.top);
    return r;
}

int sl_remove_tree(int dirfd, const char *name, struct sl_error *err)
{
    int r = remove_top(dirfd, name);
    if (r == 0 || r == -ENOENT)
        return 0;
    return sl_error_system(err, -r, "removing %s", name);
}
