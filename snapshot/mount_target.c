/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_target.h"

#include "dir_entries.h"
#include "mount_table.h"
#include "store_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir -p, counting. Only directories at the end can be new: below a new one all are. */
static int make_dirs(struct sl_mount_target *target)
{
    char *path = target->given;
    for (size_t end = strspn(path, "/"); path[end];) {
        size_t stop = end + strcspn(path + end, "/");
        char kept = path[stop];
        path[stop] = '\0';
        int r = mkdir(path, 0755) == 0 ? 0 : -errno;
        path[stop] = kept;
        target->n_created += r == 0;
        if (r < 0 && r != -EEXIST)
            return r;
        end = stop + strspn(path + stop, "/");
    }
    return 0;
}

static int check_is_empty(int fd)
{
    DIR *dir = sl_dir_open(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir)
        return -errno;
    const struct dirent *entry;
    int r = sl_dir_next(dir, &entry);
    (void)closedir(dir);
    return r > 0 ? -ENOTEMPTY : r;
}

static int check(struct sl_mount_target *target, struct sl_error *err)
{
    SL_AUTO_DONE(sl_mount_table) table = {0};
    int r = sl_mount_table_load("thread-self", &table, err);
    if (r < 0)
        return r;
    if (sl_mount_table_find_point(&table, target->path))
        return sl_error_set(err, SL_E_SYSTEM, EBUSY,
                            "something is mounted at %s already (unmount it first)", target->path);
    r = check_is_empty(target->fd);
    if (r == -ENOTEMPTY)
        return sl_error_set(err, SL_E_SYSTEM, ENOTEMPTY,
                            "%s is not empty (name an empty directory, or one to be created)",
                            target->path);
    return r < 0 ? sl_error_system(err, -r, "reading %s", target->path) : 0;
}

static int open_target(struct sl_mount_target *target, struct sl_error *err)
{
    int r = make_dirs(target);
    if (r < 0)
        return sl_error_system(err, -r, "creating %s", target->given);
    target->fd = open(target->given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (target->fd < 0)
        return sl_error_system(err, errno, "opening %s", target->given);
    /* Of what is open: a name may mean something else by now. */
    target->path = sl_path_of_fd(target->fd);
    if (!target->path)
        return sl_error_system(err, errno, "finding %s", target->given);
    /* Of two that mount here at once, the second looks when the first has finished. */
    r = sl_flock(target->fd, LOCK_EX);
    if (r < 0)
        return sl_error_system(err, -r, "locking %s", target->path);
    return check(target, err);
}

int sl_mount_target_open(const char *given, struct sl_mount_target *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_mount_target) target = {.fd = -1};
    target.given = strdup(given);
    if (!target.given)
        return sl_error_oom(err);
    int r = open_target(&target, err);
    if (r < 0) {
        sl_mount_target_undo(&target);
        return r;
    }
    *ret = target;
    target = (struct sl_mount_target){.fd = -1};
    return 0;
}

void sl_mount_target_undo(struct sl_mount_target *target)
{
    for (; target->n_created > 0; target->n_created--) {
        size_t len = strlen(target->given);
        while (len > 1 && target->given[len - 1] == '/')
            target->given[--len] = '\0';
        if (rmdir(target->given) < 0)
            return; /* somebody uses it now */
        char *slash = strrchr(target->given, '/');
        if (!slash)
            return;
        slash[slash == target->given] = '\0';
    }
}

void sl_mount_target_done(struct sl_mount_target *target)
{
    int saved = errno;
    sl_cleanup_fdp(&target->fd);
    free(target->path);
    free(target->given);
    *target = (struct sl_mount_target){.fd = -1};
    errno = saved;
}
