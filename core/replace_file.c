/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/bytes.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *sl_path_of_fd(int fd)
{
    char link[64], path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path));
    if (n >= (ssize_t)sizeof(path)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return n < 0 ? NULL : sl_strf("%.*s", (int)n, path);
}

int sl_write_all(int fd, struct sl_span data)
{
    while (data.len) {
        ssize_t n = write(fd, data.data, data.len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data.data += n;
            data.len -= (size_t)n;
        }
    }
    return 0;
}

/* Several threads may replace one name. What an earlier process of this number has left goes. */
static char *name_aside(const char *name)
{
    static atomic_uint last;
    return sl_strf(".%.200s.%d-%u.new", name, (int)getpid(), ++last);
}

int sl_replace_file(int dirfd, const char *name, struct sl_span data, unsigned mode,
                    struct sl_error *err)
{
    SL_AUTO_FREE char *aside = name_aside(name);
    if (!aside)
        return sl_error_oom(err);
    (void)unlinkat(dirfd, aside, 0);
    SL_AUTO_FD fd =
        openat(dirfd, aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR);
    if (fd < 0)
        return sl_error_system(err, errno, "writing %s", name);
    int r = sl_write_all(fd, data);
    if (r == 0 && (fchmod(fd, mode) < 0 || renameat(dirfd, aside, dirfd, name) < 0))
        r = -errno;
    if (r == 0)
        return 0;
    (void)unlinkat(dirfd, aside, 0);
    return sl_error_system(err, -r, "writing %s", name);
}
