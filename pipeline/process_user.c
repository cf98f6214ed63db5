/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_config.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    ACCOUNT_FILE_MAX = 4 * 1024 * 1024, /* bytes of etc/passwd and etc/group */
    GROUPS_MAX = 1024,                  /* supplementary groups of a user */
    FIELDS_MAX = 7,
};

void sl_process_user_done(struct sl_process_user *user)
{
    free(user->groups);
    *user = (struct sl_process_user){0};
}

enum { FILE_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* Where openat2 is missing or forbidden links are not followed at all: who needs them there gives
 * his user as a number. */
static int open_without_links(int rootfs_fd, const char *name)
{
    SL_AUTO_FD etc = openat(rootfs_fd, "etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return etc < 0 ? -1 : openat(etc, name, FILE_FLAGS | O_NOFOLLOW);
}

static int open_inside(int rootfs_fd, const char *path)
{
    struct open_how how = {.flags = FILE_FLAGS, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, rootfs_fd, path, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = open_without_links(rootfs_fd, strchr(path, '/') + 1);
    return fd;
}

/* The image owns these files: they may be links to anywhere, FIFOs, or huge. Missing is empty. */
static int read_account_file(int rootfs_fd, const char *path, struct sl_bytes *ret,
                             struct sl_error *err)
{
    SL_AUTO_FD fd = open_inside(rootfs_fd, path);
    if (fd < 0)
        return sl_bytes_append(ret, sl_span_of(""), 0, err);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "/%s in the image is not a file", path);
    char self[32];
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    int r = sl_read_file(AT_FDCWD, self, ACCOUNT_FILE_MAX, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "/%s in the image", path) : 0;
}

static bool parse_id(const char *text, uint32_t *ret)
{
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
        return false;
    unsigned long long v = strtoull(text, NULL, 10);
    if (v > UINT32_MAX - 1)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* Cuts the next line of *text into fields at ':'; false at the end. Writes NULs into the text. */
static bool next_entry(char **text, char *fields[FIELDS_MAX], size_t *n)
{
    char *line = strsep(text, "\n");
    if (!line)
        return false;
    *n = 0;
    while (line && *n < FIELDS_MAX)
        fields[(*n)++] = strsep(&line, ":");
    return true;
}

/* passwd: name:x:uid:gid:… */
static bool find_user(char *text, const char *wanted, char **ret_name, struct sl_process_user *user)
{
    char *f[FIELDS_MAX];
    uint32_t id, uid, gid;
    bool numeric = parse_id(wanted, &id);
    for (size_t n; next_entry(&text, f, &n);) {
        if (n < 4 || !parse_id(f[2], &uid) || !parse_id(f[3], &gid))
            continue;
        if (strcmp(f[0], wanted) != 0 && !(numeric && uid == id))
            continue;
        user->uid = uid;
        user->gid = gid;
        *ret_name = f[0];
        return true;
    }
    return false;
}

static bool list_has(char *list, const char *name)
{
    for (char *item; (item = strsep(&list, ","));)
        if (strcmp(item, name) == 0)
            return true;
    return false;
}

/* group: name:x:gid:member,member */
static bool find_group(char *text, const char *wanted, uint32_t *ret)
{
    char *f[FIELDS_MAX];
    for (size_t n; next_entry(&text, f, &n);)
        if (n >= 3 && strcmp(f[0], wanted) == 0 && parse_id(f[2], ret))
            return true;
    return false;
}

static int add_groups(char *text, const char *member, struct sl_process_user *user,
                      struct sl_error *err)
{
    char *f[FIELDS_MAX];
    uint32_t gid;
    user->groups = calloc(GROUPS_MAX, sizeof(*user->groups));
    if (!user->groups)
        return sl_error_oom(err);
    for (size_t n; user->n_groups < GROUPS_MAX && next_entry(&text, f, &n);)
        if (n >= 4 && parse_id(f[2], &gid) && gid != user->gid && list_has(f[3], member))
            user->groups[user->n_groups++] = gid;
    return 0;
}

static int resolve_group(int rootfs_fd, const char *group, struct sl_process_user *user,
                         struct sl_error *err)
{
    if (parse_id(group, &user->gid))
        return 0;
    SL_AUTO_DONE(sl_bytes) file = {0};
    int r = read_account_file(rootfs_fd, "etc/group", &file, err);
    if (r < 0)
        return r;
    if (!find_group((char *)file.data, group, &user->gid))
        return sl_error_set(err, SL_E_FORMAT, ENOENT,
                            "the image wants group '%.64s', which its /etc/group does not have",
                            group);
    return 0;
}

static int resolve_user(int rootfs_fd, const char *name, bool want_groups,
                        struct sl_process_user *user, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) passwd = {0};
    SL_AUTO_DONE(sl_bytes) group = {0};
    int r = read_account_file(rootfs_fd, "etc/passwd", &passwd, err);
    if (r < 0)
        return r;
    char *login;
    if (!find_user((char *)passwd.data, name, &login, user)) {
        if (parse_id(name, &user->uid))
            return 0;
        return sl_error_set(err, SL_E_FORMAT, ENOENT,
                            "the image wants user '%.64s', which its /etc/passwd does not have",
                            name);
    }
    if (!want_groups)
        return 0;
    r = read_account_file(rootfs_fd, "etc/group", &group, err);
    return r < 0 ? r : add_groups((char *)group.data, login, user, err);
}

int sl_process_user_resolve(int rootfs_fd, const char *text, struct sl_process_user *ret,
                            struct sl_error *err)
{
    struct sl_process_user user = {0};
    if (!text || !*text) {
        *ret = user;
        return 0;
    }
    SL_AUTO_FREE char *copy = strdup(text);
    if (!copy)
        return sl_error_oom(err);
    char *group = copy;
    const char *name = strsep(&group, ":");
    int r = *name ? resolve_user(rootfs_fd, name, /* want_groups= */ !group, &user, err) : 0;
    if (r == 0 && group && *group)
        r = resolve_group(rootfs_fd, group, &user, err);
    if (r < 0) {
        sl_process_user_done(&user);
        return r;
    }
    *ret = user;
    return 0;
}
