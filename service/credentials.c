/* SPDX-License-Identifier: Apache-2.0 */
#include "credentials.h"

#include "beneath.h"

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

/* ---- folders ---- */

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

/* Opens the folder that the file goes into, which is made if missing. *ret_name points into path,
 * which is below the root and is cut. */
static int open_folder(const char *root, char *path, int *ret, const char **ret_name,
                       struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    struct sl_beneath_made made = {0};
    int r = sl_beneath_check(path, err);
    if (r == 0)
        r = open_root(root, &fd, err);
    if (r < 0)
        return r;
    char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (slash)
        *slash = 0;
    return sl_beneath_open_dir(fd, slash ? path : "", FOLDER_MODE, &made, ret, err);
}

/* ---- the file ---- */

static int put(const char *root, const char *path, struct sl_span content, struct sl_error *err)
{
    size_t prefix = strlen(SL_CREDENTIALS_ROOT);
    const char *name = NULL;
    SL_AUTO_FD dirfd = -1;
    if (strncmp(path, SL_CREDENTIALS_ROOT "/", prefix + 1) != 0)
        return sl_error_set(err, SL_E_POLICY, EPERM, "is not below %s", SL_CREDENTIALS_ROOT);
    SL_AUTO_FREE char *relative = strdup(path + prefix + 1);
    if (!relative)
        return sl_error_oom(err);
    int r = open_folder(root, relative, &dirfd, &name, err);
    return r < 0 ? r : sl_replace_file(dirfd, name, content, FILE_MODE, err);
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
