/* SPDX-License-Identifier: Apache-2.0 */
#include "implicit_dirs.h"

#include "store_dir.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct seed {
    const struct sl_store *store;
    const struct sl_layer_stack *stack;
    int upper;
    char *buffer; /* XATTR_LIST_MAX bytes of names and XATTR_SIZE_MAX of a value */
};

/* ---- finding ---- */

enum presence { ABSENT, PRESENT, HIDES }; /* HIDES: and nothing below can be seen there */

struct lookup {
    enum presence presence;
    bool is_dir; /* the layer has the directory; then fd is it */
    bool is_opaque;
    int fd;
};

static bool next_component(const char **path, char name[NAME_MAX + 1], int *ret)
{
    const char *p = *path + strspn(*path, "/");
    size_t len = strcspn(p, "/");
    *path = p + len;
    *ret = len > NAME_MAX ? -ENAMETOOLONG : 0;
    if (len == 0 || *ret < 0)
        return false;
    memcpy(name, p, len);
    name[len] = '\0';
    return true;
}

/* What one layer says about a directory. Whatever is there and not a directory (a whiteout, a
 * file, a symlink) ends the search, as does an opaque directory on the way. */
static int look_up(int root, const char *path, struct lookup *ret)
{
    SL_AUTO_FD fd = fcntl(root, F_DUPFD_CLOEXEC, 0);
    struct lookup found = {.presence = PRESENT, .is_dir = true, .fd = -1};
    char name[NAME_MAX + 1];
    int r = fd < 0 ? -errno : 0;
    while (r == 0 && found.is_dir && next_component(&path, name, &r)) {
        if (found.is_opaque)
            found.presence = HIDES;
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return -errno;
        if (next < 0 && errno != ENOENT)
            found.presence = HIDES;
        if (next < 0 && errno == ENOENT && found.presence != HIDES)
            found.presence = ABSENT;
        found.is_dir = next >= 0;
        sl_cleanup_fdp(&fd);
        fd = next;
        found.is_opaque = next >= 0 && sl_is_opaque(next);
    }
    if (r < 0)
        return r;
    found.fd = sl_steal_fd(&fd);
    *ret = found;
    return 0;
}

struct source {
    int fd;            /* the directory whose attributes count, or -1: the path is not visible */
    bool is_described; /* or nobody describes it, and fd is the topmost */
    bool is_topmost;   /* overlayfs would get its attributes right */
    bool is_merged;    /* more than one layer has it */
};

static int look_into(const struct seed *seed, const struct sl_stack_layer *layer, const char *path,
                     struct lookup *ret, struct sl_error *err)
{
    SL_AUTO_FD root = -1;
    int r = sl_stack_layer_open(seed->store, layer, &root, err);
    if (r < 0)
        return r;
    r = look_up(root, path, ret);
    return r < 0 ? sl_error_system(err, -r, "looking for \"%s\" in the layers", path) : 0;
}

/* Of the copies that can be seen the topmost described one, else the topmost. An opaque copy cuts
 * off what lower ones hold, not what they say of the directory: it is the same one still. */
static int find_source(const struct seed *seed, const char *path, struct source *ret,
                       struct sl_error *err)
{
    struct source source = {.fd = -1, .is_topmost = true};
    SL_AUTO_FD best = -1;
    enum presence presence = ABSENT;
    bool is_cut = false;
    for (size_t i = 0; i < seed->stack->n && presence != HIDES; i++) {
        const struct sl_stack_layer *layer = &seed->stack->layers[i];
        struct lookup found = {.fd = -1};
        int r = look_into(seed, layer, path, &found, err);
        if (r < 0)
            return r;
        SL_AUTO_FD fd = found.fd;
        presence = found.presence;
        if (!found.is_dir)
            continue;
        bool is_described = !sl_stack_layer_is_implicit(layer, path);
        source.is_merged |= best >= 0 && !is_cut;
        is_cut |= found.is_opaque;
        if (best >= 0 && (source.is_described || !is_described))
            continue;
        source.is_described = is_described;
        source.is_topmost = best < 0;
        sl_cleanup_fdp(&best);
        best = sl_steal_fd(&fd);
    }
    source.fd = sl_steal_fd(&best);
    *ret = source;
    return 0;
}

/* ---- copying ---- */

/* The marks of overlayfs belong to their layer; what the security module of this machine or its
 * file system does not take was not taken from the layer either. */
static int copy_xattr(const struct seed *seed, int from, int to, const char *name)
{
    static const char overlay[] = "trusted.overlay.";
    if (strncmp(name, overlay, strlen(overlay)) == 0)
        return 0;
    char *value = seed->buffer + XATTR_LIST_MAX;
    ssize_t n = fgetxattr(from, name, value, XATTR_SIZE_MAX);
    if (n < 0)
        return errno == ENODATA ? 0 : -errno;
    if (fsetxattr(to, name, value, (size_t)n, 0) == 0 || errno == ENOTSUP)
        return 0;
    return -errno;
}

static int copy_xattrs(const struct seed *seed, int from, int to)
{
    ssize_t n = flistxattr(from, seed->buffer, XATTR_LIST_MAX);
    if (n < 0)
        return errno == ENOTSUP ? 0 : -errno;
    int r = 0;
    for (const char *name = seed->buffer; r == 0 && name < seed->buffer + n;
         name += strlen(name) + 1)
        r = copy_xattr(seed, from, to, name);
    return r;
}

/* All but the times. The mode comes last: chown clears bits of it, an ACL changes it. */
static int copy_attributes(const struct seed *seed, int from, int to)
{
    struct stat st;
    if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0)
        return -errno;
    int r = copy_xattrs(seed, from, to);
    if (r == 0 && fchmod(to, st.st_mode & 07777) < 0)
        r = -errno;
    return r;
}

static int copy_times(int from, int to)
{
    struct stat st;
    if (fstat(from, &st) < 0)
        return -errno;
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    return futimens(to, times) < 0 ? -errno : 0;
}

/* ---- seeding ---- */

/* The directory of the upper tree. Parents come before children, so only the last is new; new_dir
 * tells whether it was. */
static int open_upper(const struct seed *seed, const char *path, bool create, bool *new_dir,
                      int *ret)
{
    SL_AUTO_FD fd = fcntl(seed->upper, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    char name[NAME_MAX + 1];
    int r = 0;
    while (r == 0 && next_component(&path, name, &r)) {
        *new_dir = create && mkdirat(fd, name, 0700) == 0;
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -errno;
        (void)close(fd);
        fd = next;
    }
    if (r == 0)
        *ret = sl_steal_fd(&fd);
    return r;
}

static int seed_dir(const struct seed *seed, const char *path, struct sl_error *err)
{
    struct source source = {.fd = -1};
    int r = find_source(seed, path, &source, err);
    if (r < 0)
        return r;
    SL_AUTO_FD from = source.fd;
    SL_AUTO_FD to = -1;
    bool is_new = !path[0];
    if (from >= 0)
        r = open_upper(seed, path, /* create= */ true, &is_new, &to);
    if (r == 0 && from >= 0 && is_new)
        r = copy_attributes(seed, from, to);
    return r < 0 ? sl_error_system(err, -r, "preparing the directory \"%s\"", path) : 0;
}

/* A directory in the upper tree overrides all the layers too: its parents are seeded as well. */
static int seed_with_parents(const struct seed *seed, char *path, struct sl_error *err)
{
    int r = 0;
    for (char *slash = path; r == 0 && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        r = seed_dir(seed, path, err);
        *slash = '/';
    }
    return r < 0 ? r : seed_dir(seed, path, err);
}

/* An implicit directory that overlayfs would get wrong. */
static int seed_if_needed(const struct seed *seed, char *path, struct sl_error *err)
{
    struct source source = {.fd = -1};
    int r = find_source(seed, path, &source, err);
    if (r < 0)
        return r;
    SL_AUTO_FD from = source.fd;
    bool is_right = from < 0 || source.is_topmost;
    return is_right ? 0 : seed_with_parents(seed, path, err);
}

/* Overlayfs lists a directory of one layer as it is, with the whiteouts in it; a copy in the upper
 * tree makes it one that is merged. */
static int seed_if_alone(const struct seed *seed, char *path, struct sl_error *err)
{
    struct source source = {.fd = -1};
    int r = find_source(seed, path, &source, err);
    if (r < 0)
        return r;
    SL_AUTO_FD from = source.fd;
    bool is_right = from < 0 || source.is_merged;
    return is_right ? 0 : seed_with_parents(seed, path, err);
}

static int seed_root(const struct seed *seed, struct sl_error *err)
{
    struct source source = {.fd = -1};
    int r = find_source(seed, "", &source, err);
    if (r < 0)
        return r;
    SL_AUTO_FD from = source.fd;
    if (source.is_described)
        r = copy_attributes(seed, from, seed->upper);
    else if (fchown(seed->upper, 0, 0) < 0 || fchmod(seed->upper, 0755) < 0)
        r = -errno;
    return r < 0 ? sl_error_system(err, -r, "preparing the root directory") : 0;
}

/* Of every directory of the upper tree, and only now: making its children touched it. */
static int set_times(const struct seed *seed, const char *path, struct sl_error *err)
{
    static const struct timespec epoch[2] = {{0, 0}, {0, 0}};
    struct source source = {.fd = -1};
    SL_AUTO_FD to = -1;
    bool is_new = false;
    int r = open_upper(seed, path, /* create= */ false, &is_new, &to);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return sl_error_system(err, -r, "preparing the directory \"%s\"", path);
    r = find_source(seed, path, &source, err);
    if (r < 0)
        return r;
    SL_AUTO_FD from = source.fd;
    if (source.is_described || path[0])
        r = copy_times(from, to);
    else
        r = futimens(to, epoch) < 0 ? -errno : 0;
    return r < 0 ? sl_error_system(err, -r, "setting the times of \"%s\"", path) : 0;
}

static int set_times_with_parents(const struct seed *seed, char *path, struct sl_error *err)
{
    int r = set_times(seed, path, err);
    for (char *slash; r == 0 && (slash = strrchr(path, '/'));) {
        *slash = '\0';
        r = set_times(seed, path, err);
    }
    return r;
}

typedef int (*path_fn)(const struct seed *seed, char *path, struct sl_error *err);

static int each_path(const struct seed *seed, const struct sl_path_list *list, path_fn fn,
                     struct sl_error *err)
{
    int r = 0;
    for (size_t k = 0; k < list->n && r == 0; k++) {
        SL_AUTO_FREE char *copy = strdup(list->paths[k]);
        if (!copy)
            return sl_error_oom(err);
        if (copy[0]) /* the root is seeded always */
            r = fn(seed, copy, err);
    }
    return r;
}

static int each_noted(const struct seed *seed, path_fn implicit, path_fn whiteout_dir,
                      struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < seed->stack->n && r == 0; i++) {
        const struct sl_layer_notes *notes = &seed->stack->layers[i].notes;
        r = each_path(seed, &notes->implicit, implicit, err);
        if (r == 0)
            r = each_path(seed, &notes->whiteout_dirs, whiteout_dir, err);
    }
    return r;
}

int sl_implicit_dirs_seed(const struct sl_store *store, const struct sl_layer_stack *stack,
                          int upper, struct sl_error *err)
{
    SL_AUTO_FREE char *buffer = malloc(XATTR_LIST_MAX + XATTR_SIZE_MAX);
    if (!buffer)
        return sl_error_oom(err);
    struct seed seed = {store, stack, upper, buffer};
    int r = seed_root(&seed, err);
    if (r == 0)
        r = each_noted(&seed, seed_if_needed, seed_if_alone, err);
    if (r == 0)
        r = each_noted(&seed, set_times_with_parents, set_times_with_parents, err);
    return r < 0 ? r : set_times(&seed, "", err);
}
