/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle_path.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLDER_MODE = 0750 };

/* What comes behind the root in the path, or NULL when it is not below it. */
static const char *below(const char *root, const char *path)
{
    size_t len = strlen(root);
    while (len > 0 && root[len - 1] == '/')
        len--;
    return strncmp(path, root, len) == 0 && path[len] == '/' ? path + len + 1 : NULL;
}

/* The longest root wins: what lies between it and a shorter one is the operator's, links and all.
 */
static const char *find_root(char *const *roots, const char *path, const char **ret_rest)
{
    const char *found = NULL;
    for (; roots && *roots; roots++) {
        const char *rest = below(*roots, path);
        if (rest && (!found || rest > *ret_rest)) {
            found = *roots;
            *ret_rest = rest;
        }
    }
    return found;
}

/* The rootfs is a folder, or is not there. */
static int check_rootfs(int bundle_fd, struct sl_error *err)
{
    struct stat st;
    if (fstatat(bundle_fd, "rootfs", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : sl_error_system(err, errno, "rootfs");
    if (S_ISLNK(st.st_mode))
        return sl_error_set(err, SL_E_POLICY, ELOOP, "'rootfs' is a symbolic link");
    return S_ISDIR(st.st_mode) ? 0 : sl_error_system(err, ENOTDIR, "rootfs");
}

/* Also when the store is mounted on the way. */
static int check_store(const struct sl_bundle_path *b, int bundle_fd, struct sl_error *err)
{
    SL_AUTO_FREE char *path = sl_path_of_fd(bundle_fd);
    if (!path)
        return sl_error_system(err, errno, "finding it");
    size_t len = b->store ? strlen(b->store) : 0;
    if (len == 0 || strncmp(path, b->store, len) != 0 || (path[len] && path[len] != '/'))
        return 0;
    return sl_error_set(err, SL_E_POLICY, EPERM, "it is in the store of images");
}

static int check_bundle(const struct sl_bundle_path *b, int bundle_fd, struct sl_error *err)
{
    int r = check_store(b, bundle_fd, err);
    return r == 0 ? check_rootfs(bundle_fd, err) : r;
}

static int check_way(const struct sl_bundle_path *b, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    int r = sl_beneath_open_dir(b->root_fd, b->rest, /* mode= */ 0, /* made= */ NULL, &fd, err);
    return r == 0 ? check_bundle(b, fd, err) : r;
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int bundle_open(char *const *roots, struct sl_bundle_path *b, struct sl_error *err)
{
    if (b->path[0] != '/')
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "it is not absolute");
    if (!is_printable(b->path))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "it has control characters in it");
    int r = sl_beneath_check(b->path, err);
    if (r < 0)
        return r;
    const char *root = find_root(roots, b->path, &b->rest);
    if (!root || !b->rest[strspn(b->rest, "/")])
        return sl_error_set(err, SL_E_POLICY, EPERM,
                            "it is not below a folder where bundles may be (sluice.bundle_roots)");
    b->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->root_fd < 0)
        return sl_error_system(err, errno, "opening %.300s", root);
    struct sl_error way_err = {0};
    r = check_way(b, &way_err);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? sl_error_set(err, way_err.code, way_err.errnum, "%s", way_err.msg) : 0;
}

int sl_bundle_path_open(char *const *roots, const char *store, const char *path,
                        struct sl_bundle_path *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bundle_path) b = {.root_fd = -1, .path = strdup(path)};
    if (!b.path)
        return sl_error_oom(err);
    b.store = store ? realpath(store, NULL) : NULL;
    int r = bundle_open(roots, &b, err);
    if (r < 0)
        return sl_error_wrap(err, r, "bundle_path '%.300s'", path);
    *ret = b;
    b = (struct sl_bundle_path){.root_fd = -1};
    return 0;
}

int sl_bundle_path_make(struct sl_bundle_path *b, int *ret_fd, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    int r = sl_beneath_open_dir(b->root_fd, b->rest, FOLDER_MODE, &b->made, &fd, err);
    if (r == 0)
        r = check_bundle(b, fd, err);
    if (r < 0) {
        sl_bundle_path_undo(b);
        return sl_error_wrap(err, r, "bundle_path '%.300s'", b->path);
    }
    *ret_fd = sl_steal_fd(&fd);
    return 0;
}

void sl_bundle_path_undo(struct sl_bundle_path *b)
{
    sl_beneath_undo(b->root_fd, b->rest, &b->made);
    b->made = (struct sl_beneath_made){0};
}

void sl_bundle_path_done(struct sl_bundle_path *b)
{
    sl_cleanup_fdp(&b->root_fd);
    free(b->path);
    free(b->store);
    *b = (struct sl_bundle_path){.root_fd = -1};
}
