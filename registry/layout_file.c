/* SPDX-License-Identifier: Apache-2.0 */
#include "layout_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int sl_layout_file_create(int dirfd, struct sl_layout_file *ret, struct sl_error *err)
{
    struct sl_layout_file file = {.dirfd = dirfd, .fd = -1};
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return sl_error_system(err, errno, "no random numbers");
    (void)snprintf(file.name, sizeof(file.name), ".upload-%016" PRIx64, random);
    file.fd = openat(dirfd, file.name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file.fd < 0)
        return sl_error_system(err, errno, "cannot create %s", file.name);
    *ret = file;
    return 0;
}

int sl_layout_file_write(struct sl_layout_file *file, struct sl_span bytes, struct sl_error *err)
{
    while (bytes.len) {
        ssize_t n = write(file->fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "cannot write %s", file->name);
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return 0;
}

int sl_layout_file_sync(struct sl_layout_file *file, struct sl_error *err)
{
    if (fsync(file->fd) < 0)
        return sl_error_system(err, errno, "cannot write %s", file->name);
    return 0;
}

int sl_layout_file_rename(struct sl_layout_file *file, int dirfd, const char *path,
                          struct sl_error *err)
{
    if (renameat(file->dirfd, file->name, dirfd, path) < 0)
        return sl_error_system(err, errno, "cannot rename %s to %s", file->name, path);
    file->name[0] = '\0';
    return 0;
}

void sl_layout_file_done(struct sl_layout_file *file)
{
    int saved = errno;
    if (file->name[0])
        (void)unlinkat(file->dirfd, file->name, 0);
    if (file->fd >= 0)
        (void)close(file->fd);
    file->fd = -1;
    file->name[0] = '\0';
    errno = saved;
}

int sl_layout_file_put(int dirfd, const char *path, struct sl_span bytes, struct sl_error *err)
{
    SL_AUTO_DONE(sl_layout_file) file = {.fd = -1};
    int r = sl_layout_file_create(dirfd, &file, err);
    if (r == 0)
        r = sl_layout_file_write(&file, bytes, err);
    if (r == 0)
        r = sl_layout_file_sync(&file, err);
    return r < 0 ? r : sl_layout_file_rename(&file, dirfd, path, err);
}
