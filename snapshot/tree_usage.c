/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_usage.h"

#include "dir_entries.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

enum {
    DEPTH_MAX = 64,   /* descriptors open at once */
    BLOCK_SIZE = 512, /* of st_blocks, on every file system */
};

static uint64_t usage(int parent, const char *name, unsigned depth)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    uint64_t sum = (uint64_t)st.st_blocks * BLOCK_SIZE;
    if (!S_ISDIR(st.st_mode))
        return st.st_nlink > 1 ? sum / st.st_nlink : sum;
    if (depth >= DEPTH_MAX)
        return sum;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : sl_dir_open(fd);
    if (!dir)
        return sum;
    const struct dirent *entry;
    while (sl_dir_next(dir, &entry) > 0)
        sum += usage(fd, entry->d_name, depth + 1);
    (void)closedir(dir);
    return sum;
}

uint64_t sl_tree_usage(int dirfd, const char *name)
{
    return usage(dirfd, name, 0);
}
