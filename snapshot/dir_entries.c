/* SPDX-License-Identifier: Apache-2.0 */
#include "dir_entries.h"

#include "sluice/core/cleanup.h"

#include <string.h>

DIR *sl_dir_open(int fd)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        sl_cleanup_fdp(&fd);
    return dir;
}

int sl_dir_next(DIR *dir, const struct dirent **ret)
{
    for (;;) {
        errno = 0;
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is read by one thread */
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *ret = entry;
        return 1;
    }
}
