/* SPDX-License-Identifier: Apache-2.0 */
#include "entry_apply.h"

#include "dir_ledger.h"
#include "entry_attrs.h"
#include "remove_tree.h"
#include "whiteout.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { INODE_COST = 4096 }; /* bytes of a file that are not its content: more or less */

/* What the kernel stores of a device number; more would silently become another device. */
enum { MAJOR_MAX = 0xfff, MINOR_MAX = 0xfffff };

struct sl_applier {
    struct sl_staged_layer *staged;
    int root_fd;
    unsigned depth;
    struct sl_path_guard *guard;
    struct sl_dir_ledger dirs;
    struct sl_whiteouts whiteouts;
    struct sl_attr_rules rules;
    bool root_described;
    bool has_plnk; /* the root has SL_PLNK_NAME, until the end */
    struct sl_clean_path path, target;
    const struct sl_tar_entry *entry; /* between begin and end */
    int fd;                           /* of the regular file being written, or -1 */
    uint64_t file_end;                /* behind the last byte written to it */
};

/* -EEXIST (no message): something is in the way. */
typedef int (*create_fn)(struct sl_applier *applier, const struct sl_place *place,
                         struct sl_error *err);

static int on_made_dir(void *arg, struct sl_span path, int fd, struct sl_error *err)
{
    struct sl_applier *applier = arg;
    struct stat st;
    sl_attrs_disinherit(&applier->rules, fd);
    if (fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "an implicit directory");
    struct sl_dir_note note = {.is_implicit = true, .inode = st.st_ino};
    return sl_dir_ledger_add(&applier->dirs, path, &note, err);
}

int sl_applier_new(struct sl_staged_layer *staged, bool no_openat2, unsigned depth,
                   struct sl_applier **ret, struct sl_error *err)
{
    SL_AUTO(sl_applier) applier = calloc(1, sizeof(*applier));
    if (!applier)
        return sl_error_oom(err);
    applier->staged = staged;
    applier->root_fd = sl_staged_layer_fd(staged);
    applier->depth = depth;
    applier->fd = -1;
    sl_attr_rules_init(&applier->rules, applier->root_fd);
    int r =
        sl_path_guard_new(applier->root_fd, no_openat2, on_made_dir, applier, &applier->guard, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&applier);
    return 0;
}

struct sl_applier *sl_applier_free(struct sl_applier *applier)
{
    if (!applier)
        return NULL;
    sl_cleanup_fdp(&applier->fd);
    sl_path_guard_free(applier->guard);
    sl_dir_ledger_done(&applier->dirs);
    sl_whiteouts_done(&applier->whiteouts);
    sl_clean_path_done(&applier->path);
    sl_clean_path_done(&applier->target);
    free(applier);
    return NULL;
}

/* ---- one function for each type ---- */

/* -EEXIST is for the caller, who may make room; the error is not set then. */
static int failed(int errnum, struct sl_error *err, const char *what)
{
    return errnum == EEXIST ? -EEXIST : sl_error_system(err, errnum, "%s", what);
}

static int create_file(struct sl_applier *applier, const struct sl_place *place,
                       struct sl_error *err)
{
    applier->fd =
        openat(place->dirfd, place->base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
               sl_attr_create_mode(applier->entry));
    applier->file_end = 0;
    return applier->fd < 0 ? failed(errno, err, "create the file") : 0;
}

static bool is_same_file(const struct sl_place *a, const struct sl_place *b)
{
    struct stat sa, sb;
    return fstatat(a->dirfd, a->base, &sa, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(b->dirfd, b->base, &sb, AT_SYMLINK_NOFOLLOW) == 0 && sa.st_ino == sb.st_ino &&
           sa.st_dev == sb.st_dev;
}

static int no_target(const struct sl_applier *applier, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, ENOENT,
                        "the hardlink target '%.200s' is not in this layer",
                        (const char *)applier->entry->linkname.data);
}

static int create_hardlink(struct sl_applier *applier, const struct sl_place *place,
                           struct sl_error *err)
{
    struct sl_place target;
    int r = sl_clean_path_set(&applier->target, applier->entry->linkname, applier->depth, err);
    if (r < 0)
        return sl_error_wrap(err, r, "hardlink target");
    if (!applier->target.len)
        return no_target(applier, err);
    r = sl_path_guard_find(applier->guard, &applier->target, &target, err);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR ? no_target(applier, err) : r;
    if (linkat(target.dirfd, target.base, place->dirfd, place->base, /* flags= */ 0) == 0)
        return 0;
    int why = errno;
    if (why == ENOENT)
        return no_target(applier, err);
    if (why == EPERM)
        return sl_error_set(err, SL_E_FORMAT, EPERM, "a hardlink to a directory");
    if (why == EEXIST && is_same_file(&target, place))
        return 0;
    return failed(why, err, "create the hardlink");
}

static int create_symlink(struct sl_applier *applier, const struct sl_place *place,
                          struct sl_error *err)
{
    const char *target = (const char *)applier->entry->linkname.data;
    if (!applier->entry->linkname.len)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a symlink without a target");
    if (symlinkat(target, place->dirfd, place->base) < 0)
        return failed(errno, err, "create the symlink");
    return sl_attrs_apply_at(&applier->rules, place, applier->entry, err);
}

static int create_special(struct sl_applier *applier, const struct sl_place *place,
                          struct sl_error *err)
{
    const struct sl_tar_entry *entry = applier->entry;
    mode_t kind = entry->type == SL_TAR_CHAR           ? S_IFCHR
                  : entry->type == SL_TAR_BLOCK_DEVICE ? S_IFBLK
                                                       : S_IFIFO;
    if (entry->dev_major > MAJOR_MAX || entry->dev_minor > MINOR_MAX)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the device number %u:%u is out of range",
                            entry->dev_major, entry->dev_minor);
    if (kind == S_IFCHR && !entry->dev_major && !entry->dev_minor)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "a character device 0:0, which overlayfs would take for a whiteout");
    dev_t dev = kind == S_IFIFO ? 0 : makedev(entry->dev_major, entry->dev_minor);
    if (mknodat(place->dirfd, place->base, kind | 0600, dev) < 0)
        return failed(errno, err, "create the special file");
    return sl_attrs_apply_at(&applier->rules, place, entry, err);
}

/* The directory is open: its attributes, a note of its times. */
static int describe_dir(struct sl_applier *applier, int fd, bool is_new, struct sl_error *err)
{
    const struct sl_tar_entry *entry = applier->entry;
    struct stat st;
    int r = sl_attrs_apply_fd(&applier->rules, fd, entry, is_new, err);
    if (r < 0)
        return r;
    sl_attr_rules_note_dir(&applier->rules, entry);
    if (fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "the directory");
    struct sl_dir_note note = {.inode = st.st_ino, .atime = entry->atime, .mtime = entry->mtime};
    return sl_dir_ledger_add(&applier->dirs, sl_clean_path_span(&applier->path), &note, err);
}

static int create_dir(struct sl_applier *applier, const struct sl_place *place,
                      struct sl_error *err)
{
    bool is_new = mkdirat(place->dirfd, place->base, sl_attr_create_mode(applier->entry)) == 0;
    if (!is_new && errno != EEXIST)
        return sl_error_system(err, errno, "create the directory");
    SL_AUTO_FD fd =
        openat(place->dirfd, place->base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP
                   ? -EEXIST
                   : sl_error_system(err, errno, "open the directory");
    int r = describe_dir(applier, fd, is_new, err);
    if (r >= 0)
        sl_path_guard_remember(applier->guard, &applier->path, &fd);
    return r;
}

static const create_fn creators[] = {
    [SL_TAR_FILE] = create_file,       [SL_TAR_HARDLINK] = create_hardlink,
    [SL_TAR_SYMLINK] = create_symlink, [SL_TAR_CHAR] = create_special,
    [SL_TAR_DIR] = create_dir,         [SL_TAR_BLOCK_DEVICE] = create_special,
    [SL_TAR_FIFO] = create_special,
};

/* ---- entries ---- */

static int create(struct sl_applier *applier, struct sl_error *err)
{
    create_fn fn = creators[applier->entry->type];
    struct sl_place place;
    int r = sl_path_guard_make(applier->guard, &applier->path, &place, err);
    if (r >= 0)
        r = fn(applier, &place, err);
    if (r != -EEXIST)
        return r;
    r = sl_remove_tree(place.dirfd, place.base, err);
    sl_path_guard_forget(applier->guard);
    if (r >= 0)
        r = sl_path_guard_make(applier->guard, &applier->path, &place, err);
    if (r >= 0)
        r = fn(applier, &place, err);
    return r == -EEXIST ? sl_error_system(err, EEXIST, "replace what was there") : r;
}

static int apply_root(struct sl_applier *applier, struct sl_error *err)
{
    if (applier->entry->type != SL_TAR_DIR)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the root of the layer is no directory");
    SL_AUTO_FD fd = openat(applier->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "open the root of the layer");
    applier->root_described = true;
    return describe_dir(applier, fd, /* is_new= */ false, err);
}

/* Files only, as in containers/storage. Nothing else may be linked to. */
static int create_plnk(struct sl_applier *applier, struct sl_error *err)
{
    if (applier->entry->type != SL_TAR_FILE)
        return 0;
    applier->has_plnk = true;
    return create(applier, err);
}

static int remove_plnk(struct sl_applier *applier, struct sl_error *err)
{
    sl_path_guard_forget(applier->guard);
    return sl_remove_tree(applier->root_fd, SL_PLNK_NAME, err);
}

static int begin(void *arg, const struct sl_tar_entry *entry, struct sl_error *err)
{
    struct sl_applier *applier = arg;
    enum sl_whiteout_kind kind;
    applier->entry = entry;
    int r = sl_clean_path_set(&applier->path, entry->name, applier->depth, err);
    if (r < 0)
        return r;
    if (!applier->path.len)
        return apply_root(applier, err);
    r = sl_whiteout_classify(&applier->path, &kind, err);
    if (r < 0 || kind == SL_WHITEOUT_IGNORED)
        return r;
    if (kind == SL_WHITEOUT_PLNK)
        return create_plnk(applier, err);
    if (kind != SL_WHITEOUT_NONE)
        return sl_whiteouts_add(&applier->whiteouts, &applier->path, kind, err);
    return create(applier, err);
}

static int data(void *arg, struct sl_span bytes, uint64_t offset, struct sl_error *err)
{
    struct sl_applier *applier = arg;
    if (applier->fd < 0) /* the content of a whiteout */
        return 0;
    while (bytes.len) {
        ssize_t n = pwrite(applier->fd, bytes.data, bytes.len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "write");
        bytes.data += n;
        bytes.len -= (size_t)n;
        offset += (uint64_t)n;
    }
    applier->file_end = offset;
    return 0;
}

static int complete_file(struct sl_applier *applier, int fd, struct sl_error *err)
{
    const struct sl_tar_entry *entry = applier->entry;
    if (entry->size > applier->file_end && ftruncate(fd, (off_t)entry->size) < 0)
        return sl_error_system(err, errno, "extend the file to %llu bytes",
                               (unsigned long long)entry->size);
    int r = sl_attrs_apply_fd(&applier->rules, fd, entry, /* is_new= */ true, err);
    if (r < 0)
        return r;
    const struct timespec times[2] = {entry->atime, entry->mtime};
    return futimens(fd, times) < 0 ? sl_error_system(err, errno, "set the times") : 0;
}

static int end(void *arg, struct sl_error *err)
{
    struct sl_applier *applier = arg;
    int fd = sl_steal_fd(&applier->fd);
    if (fd < 0)
        return 0;
    int r = complete_file(applier, fd, err);
    sl_staged_layer_note_written(applier->staged, applier->file_end + INODE_COST);
    if (close(fd) < 0 && r >= 0) /* where a full disk may show */
        return sl_error_system(err, errno, "close the file");
    return r;
}

const struct sl_tar_sink sl_applier_sink = {.begin = begin, .data = data, .end = end};

/* Nobody has described the root: it is like any other implicit directory. */
static int note_implicit_root(struct sl_applier *applier, struct sl_error *err)
{
    SL_AUTO_FD fd = openat(applier->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fchown(fd, 0, 0) < 0 || fchmod(fd, 0755) < 0)
        return sl_error_system(err, errno, "the root of the layer");
    return on_made_dir(applier, (struct sl_span){NULL, 0}, fd, err);
}

int sl_applier_finish(struct sl_applier *applier, struct sl_error *err)
{
    int r = applier->has_plnk ? remove_plnk(applier, err) : 0;
    if (r >= 0)
        r = sl_whiteouts_settle(&applier->whiteouts, applier->guard, applier->staged,
                                &applier->dirs, err);
    if (r >= 0 && !applier->root_described)
        r = note_implicit_root(applier, err);
    return r < 0 ? r : sl_dir_ledger_settle(&applier->dirs, applier->guard, applier->staged, err);
}
