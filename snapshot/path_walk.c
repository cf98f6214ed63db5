/* SPDX-License-Identifier: Apache-2.0 */
#include "path_walk.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_DIR = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

/* The state of one walk. */
struct position {
    int fd;               /* where we are */
    unsigned depth;       /* below the root */
    unsigned n_links;     /* followed so far */
    struct sl_bytes todo; /* what remains, from at */
    size_t at;
    struct sl_bytes real; /* the way so far, symlinks resolved: "a/b" */
};

static void position_done(struct position *pos)
{
    if (pos->fd >= 0)
        (void)close(pos->fd);
    sl_bytes_done(&pos->todo);
    sl_bytes_done(&pos->real);
}

/* Takes fd. */
static void move_to(struct position *pos, int fd)
{
    (void)close(pos->fd);
    pos->fd = fd;
}

static int go_to_root(const struct sl_path_walk *walk, struct position *pos, struct sl_error *err)
{
    int fd = openat(walk->root_fd, ".", OPEN_DIR);
    if (fd < 0)
        return sl_error_system(err, errno, "open the root of the layer");
    move_to(pos, fd);
    pos->depth = 0;
    pos->real.len = 0;
    return 0;
}

/* The root is its own parent. Nobody else moves directories here, so ".." of a directory that
 * was reached from the root without symlinks leads back towards the root. */
static int go_up(struct position *pos, struct sl_error *err)
{
    if (!pos->depth)
        return 0;
    int fd = openat(pos->fd, "..", OPEN_DIR);
    if (fd < 0)
        return sl_error_system(err, errno, "open a parent directory");
    move_to(pos, fd);
    pos->depth--;
    const uint8_t *slash = memrchr(pos->real.data, '/', pos->real.len);
    pos->real.len = slash ? (size_t)(slash - pos->real.data) : 0;
    return 0;
}

static int extend_real(struct position *pos, const char *name, struct sl_error *err)
{
    int r = 0;
    if (pos->real.len)
        r = sl_bytes_append(&pos->real, sl_span_of("/"), SIZE_MAX - 1, err);
    return r < 0 ? r : sl_bytes_append(&pos->real, sl_span_of(name), SIZE_MAX - 1, err);
}

/* Puts the target in front of what remains. */
static int follow(const struct sl_path_walk *walk, struct position *pos, const char *target,
                  struct sl_error *err)
{
    if (++pos->n_links > SL_SYMLINKS_MAX)
        return sl_error_set(err, SL_E_FORMAT, ELOOP, "too many symlinks on the path");
    SL_AUTO_DONE(sl_bytes) todo = {0};
    struct sl_span rest = {pos->todo.data + pos->at, pos->todo.len - pos->at};
    int r = sl_bytes_append(&todo, sl_span_of(target), SIZE_MAX - 1, err);
    if (r >= 0)
        r = sl_bytes_append(&todo, sl_span_of("/"), SIZE_MAX - 1, err);
    if (r >= 0)
        r = sl_bytes_append(&todo, rest, SIZE_MAX - 1, err);
    if (r < 0)
        return r;
    sl_bytes_done(&pos->todo);
    pos->todo = todo;
    todo = (struct sl_bytes){0};
    pos->at = 0;
    return target[0] == '/' ? go_to_root(walk, pos, err) : 0;
}

/* A directory that no entry has described: attributes as for any, times as if from no time. */
static int make_dir(struct sl_path_walk *walk, struct position *pos, const char *name,
                    struct sl_error *err)
{
    if (mkdirat(pos->fd, name, 0755) < 0)
        return sl_error_system(err, errno, "make the directory '%s'", name);
    SL_AUTO_FD fd = openat(pos->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* The umask, and a parent with setgid, must not show. */
    if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
        return sl_error_system(err, errno, "make the directory '%s'", name);
    int r = extend_real(pos, name, err);
    if (r >= 0)
        r = walk->made_dir(walk->arg, sl_bytes_span(&pos->real), fd, err);
    if (r < 0)
        return r;
    move_to(pos, sl_steal_fd(&fd));
    pos->depth++;
    return 0;
}

/* name could not be entered, for the reason errnum. */
static int step_around(struct sl_path_walk *walk, struct position *pos, const char *name,
                       int errnum, struct sl_error *err)
{
    char target[PATH_MAX];
    if (errnum == ENOENT && walk->made_dir)
        return make_dir(walk, pos, name, err);
    if (errnum != ENOTDIR && errnum != ELOOP)
        return sl_error_system(err, errnum, "open the directory '%s'", name);
    ssize_t n = readlinkat(pos->fd, name, target, sizeof(target) - 1);
    if (n >= 0) {
        target[n] = 0;
        return follow(walk, pos, target, err);
    }
    if (errno != EINVAL || !walk->made_dir)
        return sl_error_system(err, ENOTDIR, "open the directory '%s'", name);
    if (unlinkat(pos->fd, name, 0) < 0)
        return sl_error_system(err, errno, "remove '%s' to make a directory of it", name);
    walk->replaced = true;
    return make_dir(walk, pos, name, err);
}

static int step(struct sl_path_walk *walk, struct position *pos, const char *name,
                struct sl_error *err)
{
    if (!*name || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0)
        return go_up(pos, err);
    int fd = openat(pos->fd, name, OPEN_DIR);
    if (fd < 0)
        return step_around(walk, pos, name, errno, err);
    move_to(pos, fd);
    pos->depth++;
    return extend_real(pos, name, err);
}

/* Copies the next component out, since a symlink in its place may rewrite the list. */
static int next_name(struct position *pos, char name[SL_COMPONENT_MAX + 1], struct sl_error *err)
{
    const uint8_t *start = pos->todo.data + pos->at;
    size_t left = pos->todo.len - pos->at;
    const uint8_t *slash = memchr(start, '/', left);
    size_t len = slash ? (size_t)(slash - start) : left;
    if (len > SL_COMPONENT_MAX)
        return sl_error_set(err, SL_E_LIMIT, ENAMETOOLONG,
                            "a symlink names a component of %zu bytes", len);
    memcpy(name, start, len);
    name[len] = 0;
    pos->at += slash ? len + 1 : len;
    return 0;
}

int sl_path_walk_run(struct sl_path_walk *walk, struct sl_span path, int *ret_fd,
                     struct sl_error *err)
{
    struct position pos = {.fd = -1};
    walk->replaced = false;
    int r = sl_bytes_append(&pos.todo, path, SIZE_MAX - 1, err);
    if (r >= 0)
        r = go_to_root(walk, &pos, err);
    while (r >= 0 && pos.at < pos.todo.len) {
        char name[SL_COMPONENT_MAX + 1];
        r = next_name(&pos, name, err);
        if (r >= 0)
            r = step(walk, &pos, name, err);
    }
    if (r >= 0)
        *ret_fd = sl_steal_fd(&pos.fd);
    position_done(&pos);
    return r < 0 ? r : 0;
}
