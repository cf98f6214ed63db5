/* SPDX-License-Identifier: Apache-2.0 */
#include "tree_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return sum;
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            sum += usage(dirfd(dir), entry->d_name, depth + 1);
    (void)closedir(dir);
    return sum;
}

uint64_t sl_tree_usage(int dirfd, const char *name)
{
    return usage(dirfd, name, 0);
}
