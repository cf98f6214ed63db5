/* SPDX-License-Identifier: Apache-2.0 */
#include "entry_attrs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char opaque_name[] = "trusted.overlay.opaque";
static const char access_acl[] = "system.posix_acl_access";
static const char default_acl[] = "system.posix_acl_default";

enum {
    PROC_PATH_MAX = 32 + SL_COMPONENT_MAX,
    XATTR_LIST_MAX_SIZE = 64 * 1024, /* what the kernel lists at most */
    UMASK_UNKNOWN = 0777,
};

/* An open file, or (fd -1) the path of something that cannot be opened, by way of its directory's
 * descriptor: the last component is not followed. */
struct xattr_target {
    int fd;
    char path[PROC_PATH_MAX];
};

static int set_xattr(const struct xattr_target *to, const char *name, struct sl_span value)
{
    int r = to->fd >= 0 ? fsetxattr(to->fd, name, value.data, value.len, 0)
                        : lsetxattr(to->path, name, value.data, value.len, 0);
    return r < 0 ? -errno : 0;
}

static void remove_xattr(const struct xattr_target *to, const char *name)
{
    (void)(to->fd >= 0 ? fremovexattr(to->fd, name) : lremovexattr(to->path, name));
}

/* ---- what new files have ---- */

/* There is no call that asks for the umask without setting it. */
static uint32_t read_umask(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    unsigned umask = UMASK_UNKNOWN;
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "Umask:", 6) == 0) {
            umask = (unsigned)strtoul(line + 6, NULL, 8);
            break;
        }
    if (f)
        (void)fclose(f);
    return umask & 0777;
}

void sl_attr_rules_init(struct sl_attr_rules *rules, int root_fd)
{
    struct stat st;
    char path[PROC_PATH_MAX];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", root_fd);
    *rules = (struct sl_attr_rules){
        .uid = geteuid(),
        .gid = getegid(),
        .umask = read_umask(),
        .inherits_gid = fstat(root_fd, &st) < 0 || (st.st_mode & S_ISGID),
        .inherits_acl = getxattr(path, default_acl, NULL, 0) >= 0,
    };
}

void sl_attr_rules_note_dir(struct sl_attr_rules *rules, const struct sl_tar_entry *entry)
{
    rules->inherits_gid |= (entry->mode & S_ISGID) != 0;
    for (size_t i = 0; i < entry->n_xattrs; i++)
        rules->inherits_acl |= strcmp((const char *)entry->xattrs[i].name.data, default_acl) == 0;
}

/* ---- extended attributes ---- */

static bool has_prefix(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Labels and ACLs of another machine's security mechanisms. */
static bool is_dropped(const char *name)
{
    return strcmp(name, "security.selinux") == 0 || strcmp(name, "system.nfs4_acl") == 0;
}

/* Overlay metadata from an image must not steer our overlay: one level of escape makes the mount
 * show it as the image has it (overlayfs.rst, "Nesting overlayfs mounts"). */
static int escape_name(const char *name, char out[XATTR_NAME_MAX + 1], struct sl_error *err)
{
    const char *prefix = has_prefix(name, "trusted.overlay.") ? "trusted.overlay."
                         : has_prefix(name, "user.overlay.")  ? "user.overlay."
                                                              : "";
    const char *infix = *prefix ? "overlay." : "";
    int n = snprintf(out, XATTR_NAME_MAX + 1, "%s%s%s", prefix, infix, name + strlen(prefix));
    if (n > XATTR_NAME_MAX)
        return sl_error_set(err, SL_E_LIMIT, ERANGE, "an extended attribute has a name of %d bytes",
                            n);
    return 0;
}

/* Failures that other tools live with as well, since the file is as good without. */
static bool is_forgiven(const char *name, int r, enum sl_tar_type type)
{
    if (r == -ENOTSUP)
        return true;
    if (r != -EPERM)
        return false;
    bool is_user = has_prefix(name, "user.");
    bool is_integrity = strcmp(name, "security.ima") == 0 || strcmp(name, "security.evm") == 0;
    return is_integrity || (is_user && type != SL_TAR_FILE && type != SL_TAR_DIR);
}

static int apply_xattr(const struct xattr_target *to, const struct sl_tar_xattr *x,
                       enum sl_tar_type type, struct sl_error *err)
{
    char name[XATTR_NAME_MAX + 1];
    const char *wanted = (const char *)x->name.data;
    if (is_dropped(wanted))
        return 0;
    int r = escape_name(wanted, name, err);
    if (r < 0)
        return r;
    r = set_xattr(to, name, x->value);
    if (r < 0 && !is_forgiven(name, r, type))
        return sl_error_system(err, -r, "set the extended attribute '%.100s'", name);
    return 0;
}

/* A directory that is described again keeps nothing of the first description. */
static int clear_xattrs(int fd, struct sl_error *err)
{
    struct xattr_target to = {.fd = fd};
    ssize_t len = flistxattr(fd, NULL, 0);
    if (len == 0 || (len < 0 && errno == ENOTSUP))
        return 0;
    SL_AUTO_FREE char *names = malloc(XATTR_LIST_MAX_SIZE);
    if (!names)
        return sl_error_oom(err);
    len = flistxattr(fd, names, XATTR_LIST_MAX_SIZE);
    if (len < 0)
        return sl_error_system(err, errno, "list extended attributes");
    for (const char *p = names; p < names + len; p += strlen(p) + 1)
        if (!is_dropped(p))
            remove_xattr(&to, p);
    return 0;
}

static void disinherit(const struct sl_attr_rules *rules, const struct xattr_target *to,
                       enum sl_tar_type type)
{
    if (!rules->inherits_acl || type == SL_TAR_SYMLINK)
        return;
    remove_xattr(to, access_acl);
    if (type == SL_TAR_DIR)
        remove_xattr(to, default_acl);
}

void sl_attrs_disinherit(const struct sl_attr_rules *rules, int fd)
{
    struct xattr_target to = {.fd = fd};
    disinherit(rules, &to, SL_TAR_DIR);
}

static int apply_xattrs(const struct sl_attr_rules *rules, const struct xattr_target *to,
                        const struct sl_tar_entry *entry, struct sl_error *err)
{
    disinherit(rules, to, entry->type);
    for (size_t i = 0; i < entry->n_xattrs; i++) {
        int r = apply_xattr(to, &entry->xattrs[i], entry->type, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- all attributes ---- */

/* An access ACL is a mode, too; nothing outside its name space is. */
static bool sets_acl(const struct sl_tar_entry *entry)
{
    for (size_t i = 0; i < entry->n_xattrs; i++)
        if (has_prefix((const char *)entry->xattrs[i].name.data, "system."))
            return true;
    return false;
}

static bool owner_is_right(const struct sl_attr_rules *rules, const struct sl_tar_entry *entry)
{
    return entry->uid == rules->uid && entry->gid == rules->gid && !rules->inherits_gid;
}

/* Of what was created with sl_attr_create_mode(). A change of owner takes only bits that are not
 * there: setuid and setgid, unless a directory has inherited the latter. */
static bool mode_is_right(const struct sl_attr_rules *rules, const struct sl_tar_entry *entry)
{
    return !(entry->mode & (07000 | rules->umask)) && !rules->inherits_gid &&
           !rules->inherits_acl && !sets_acl(entry);
}

int sl_attrs_apply_fd(const struct sl_attr_rules *rules, int fd, const struct sl_tar_entry *entry,
                      bool is_new, struct sl_error *err)
{
    struct xattr_target to = {.fd = fd};
    bool owner_done = is_new && owner_is_right(rules, entry);
    if (!owner_done && fchown(fd, entry->uid, entry->gid) < 0)
        return sl_error_system(err, errno, "change the owner to %u:%u", entry->uid, entry->gid);
    int r = is_new ? 0 : clear_xattrs(fd, err);
    if (r >= 0)
        r = apply_xattrs(rules, &to, entry, err);
    if (r < 0)
        return r;
    bool mode_done = is_new && mode_is_right(rules, entry);
    if (!mode_done && fchmod(fd, entry->mode) < 0)
        return sl_error_system(err, errno, "change the mode to %04o", entry->mode);
    return 0;
}

int sl_attrs_apply_at(const struct sl_attr_rules *rules, const struct sl_place *place,
                      const struct sl_tar_entry *entry, struct sl_error *err)
{
    int dirfd = place->dirfd;
    const char *base = place->base;
    if (!owner_is_right(rules, entry) &&
        fchownat(dirfd, base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return sl_error_system(err, errno, "change the owner to %u:%u", entry->uid, entry->gid);
    if (entry->n_xattrs || rules->inherits_acl) {
        struct xattr_target to = {.fd = -1};
        (void)snprintf(to.path, sizeof(to.path), "/proc/self/fd/%d/%s", dirfd, base);
        int r = apply_xattrs(rules, &to, entry, err);
        if (r < 0)
            return r;
    }
    if (entry->type != SL_TAR_SYMLINK &&
        fchmodat(dirfd, base, entry->mode, AT_SYMLINK_NOFOLLOW) < 0)
        return sl_error_system(err, errno, "change the mode to %04o", entry->mode);
    const struct timespec times[2] = {entry->atime, entry->mtime};
    if (utimensat(dirfd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return sl_error_system(err, errno, "set the times");
    return 0;
}

/* ---- opaque directories ---- */

int sl_attrs_make_opaque(int fd, struct sl_error *err)
{
    char path[PROC_PATH_MAX];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (setxattr(path, opaque_name, "y", 1, 0) < 0)
        return sl_error_system(err, errno, "set %s", opaque_name);
    return 0;
}

bool sl_attrs_is_opaque(int fd)
{
    char path[PROC_PATH_MAX], value = 0;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return getxattr(path, opaque_name, &value, 1) == 1 && value == 'y';
}
