/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FOLDER_MODE = 0700,
    FILE_MODE = 0600,
};
/* What is half written; the next start takes it away. */
static const char temporary[] = ".sluice-new";

/* ---- folders ---- */

/* Opens a folder in dirfd, made if missing. Takes dirfd. */
static int step_into(int dirfd, const char *name, int *ret, struct sl_error *err)
{
    SL_AUTO_FD parent = dirfd;
    if (mkdirat(parent, name, FOLDER_MODE) < 0 && errno != EEXIST)
        return sl_error_system(err, errno, "cannot make the folder %.100s", name);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot open the folder %.100s", name);
    *ret = fd;
    return 0;
}

/* The root itself lies where the operator's machine has it, links and all. */
static int open_root(const char *root, int *ret, struct sl_error *err)
{
    SL_AUTO_FREE char *path = strdup(root);
    if (!path)
        return sl_error_oom(err);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return sl_error_system(err, errno, "cannot make the folder %s", path);
        *slash = '/';
    }
    if (mkdir(path, FOLDER_MODE) < 0 && errno != EEXIST)
        return sl_error_system(err, errno, "cannot make the folder %s", path);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot open the folder %s", path);
    *ret = fd;
    return 0;
}

/* Opens the folder that the file of this relative path goes into; *ret_name points into the path.
 */
static int open_folder(const char *root, char *path, int *ret, const char **ret_name,
                       struct sl_error *err)
{
    int fd = -1;
    char *name = path;
    int r = open_root(root, &fd, err);
    for (char *slash; r == 0 && (slash = strchr(name, '/')); name = slash + 1) {
        *slash = 0;
        r = step_into(fd, name, &fd, err);
    }
    if (r < 0)
        return r;
    *ret = fd;
    *ret_name = name;
    return 0;
}

/* ---- the file ---- */

static int write_all(int fd, const uint8_t *data, size_t len, struct sl_error *err)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "cannot write");
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_temporary(int dirfd, struct sl_span content, struct sl_error *err)
{
    if (unlinkat(dirfd, temporary, 0) < 0 && errno != ENOENT)
        return sl_error_system(err, errno, "cannot remove %s", temporary);
    SL_AUTO_FD fd =
        openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0)
        return sl_error_system(err, errno, "cannot make a file");
    return write_all(fd, content.data, content.len, err);
}

static int write_file(int dirfd, const char *name, struct sl_span content, struct sl_error *err)
{
    int r = write_temporary(dirfd, content, err);
    if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
        r = sl_error_system(err, errno, "cannot put the file in its place");
    if (r < 0)
        (void)unlinkat(dirfd, temporary, 0);
    return r;
}

static int put(const char *root, const char *path, struct sl_span content, struct sl_error *err)
{
    size_t prefix = strlen(SL_CREDENTIALS_ROOT);
    const char *name = NULL;
    SL_AUTO_FD dirfd = -1;
    /* The configuration has been checked for this; it is cheap to be sure. */
    if (strncmp(path, SL_CREDENTIALS_ROOT "/", prefix + 1) != 0 || strstr(path, "/../"))
        return sl_error_set(err, SL_E_POLICY, EPERM, "is not below %s", SL_CREDENTIALS_ROOT);
    SL_AUTO_FREE char *relative = strdup(path + prefix + 1);
    if (!relative)
        return sl_error_oom(err);
    int r = open_folder(root, relative, &dirfd, &name, err);
    return r < 0 ? r : write_file(dirfd, name, content, err);
}

static int write_one(const char *root, const struct sl_credential_file *file,
                     const struct sl_credential_source *source, struct sl_error *err)
{
    void *secret = NULL;
    size_t size = 0;
    int r = source->get(source->arg, file->resource_uri, &secret, &size, err);
    if (r < 0)
        return sl_error_wrap(err, r, "credential file %.200s: %.200s", file->path,
                             file->resource_uri);
    r = put(root, file->path, (struct sl_span){secret, size}, err);
    source->release(secret, size);
    return r < 0 ? sl_error_wrap(err, r, "credential file %.200s", file->path) : 0;
}

int sl_credentials_write_below(const char *root, const struct sl_credential_file *files, size_t n,
                               const struct sl_credential_source *source, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = write_one(root, &files[i], source, err);
    return r;
}
