/* SPDX-License-Identifier: Apache-2.0 */
#include "beneath.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIR = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* The next name of the path; 0 when there is none, -ENAMETOOLONG. */
static int next_name(const char **path, char name[NAME_MAX + 1])
{
    *path += strspn(*path, "/");
    size_t len = strcspn(*path, "/");
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, *path, len);
    name[len] = '\0';
    *path += len;
    return len > 0;
}

int sl_beneath_check(const char *path, struct sl_error *err)
{
    char name[NAME_MAX + 1];
    size_t n = 0;
    int r;
    for (const char *at = path; (r = next_name(&at, name)) > 0; n++)
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.300s' has a '%s' in it", path, name);
    if (r < 0)
        return sl_error_set(err, SL_E_LIMIT, ENAMETOOLONG, "'%.300s' has a name over %d bytes",
                            path, NAME_MAX);
    if (n > SL_BENEATH_DEPTH_MAX)
        return sl_error_set(err, SL_E_LIMIT, ENAMETOOLONG, "'%.300s' has more than %d names", path,
                            SL_BENEATH_DEPTH_MAX);
    return n ? 0 : sl_error_set(err, SL_E_FORMAT, EINVAL, "'%.300s' names nothing", path);
}

/* The kernel says ENOTDIR of links too. */
static int tell(int dir_fd, const char *name, int errnum, struct sl_error *err)
{
    struct stat st;
    if ((errnum == ENOTDIR || errnum == ELOOP) &&
        fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return sl_error_set(err, SL_E_POLICY, ELOOP, "'%s' is a symbolic link", name);
    return sl_error_system(err, errnum, "'%s'", name);
}

/* Goes one folder down. */
static int step(int *fd, const char *name, mode_t mode, struct sl_beneath_made *made,
                struct sl_error *err)
{
    int below = openat(*fd, name, OPEN_DIR);
    if (below < 0 && errno == ENOENT && made) {
        if (mkdirat(*fd, name, mode) == 0)
            made->n++;
        else if (errno != EEXIST)
            return sl_error_system(err, errno, "making the folder '%s'", name);
        below = openat(*fd, name, OPEN_DIR);
    }
    if (below < 0)
        return tell(*fd, name, errno, err);
    (void)close(*fd);
    *fd = below;
    return 0;
}

int sl_beneath_open_dir(int root_fd, const char *path, mode_t mode, struct sl_beneath_made *made,
                        int *ret_fd, struct sl_error *err)
{
    char name[NAME_MAX + 1];
    SL_AUTO_FD fd = openat(root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "opening a folder");
    int r;
    for (const char *at = path; (r = next_name(&at, name)) > 0;) {
        size_t n_before = made ? made->n : 0;
        r = step(&fd, name, mode, made, err);
        if (made && made->n > n_before)
            made->end = (size_t)(at - path);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return sl_error_set(err, SL_E_LIMIT, ENAMETOOLONG, "a name over %d bytes", NAME_MAX);
    *ret_fd = sl_steal_fd(&fd);
    return 0;
}

int sl_beneath_open_file(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd,
                         struct sl_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    SL_AUTO_FREE char *parent = strndup(path, (size_t)(base - path));
    SL_AUTO_FD dir_fd = -1;
    if (!parent)
        return sl_error_oom(err);
    int r = sl_beneath_open_dir(root_fd, parent, /* mode= */ 0, /* made= */ NULL, &dir_fd, err);
    if (r < 0)
        return r;
    int fd = openat(dir_fd, base, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return tell(dir_fd, base, errno, err);
    *ret_fd = fd;
    return 0;
}

void sl_beneath_undo(int root_fd, const char *path, const struct sl_beneath_made *made)
{
    SL_AUTO_FREE char *rest = strndup(path, made->end);
    for (size_t n = made->n; rest && n > 0; n--) {
        size_t len = strlen(rest);
        if (unlinkat(root_fd, rest + strspn(rest, "/"), AT_REMOVEDIR) < 0)
            return; /* somebody uses it now */
        while (len > 0 && rest[len - 1] != '/')
            len--;
        while (len > 0 && rest[len - 1] == '/')
            len--;
        rest[len] = '\0';
    }
}
