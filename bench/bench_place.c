/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_place.h"

#include "bench_case.h"
#include "own_mounts.h"

#include "sluice/core/subprocess.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { PATH_SIZE = 96, DEADLINE_MS = 60 * 1000, ERRORS_MAX = 512 };

/* Bytes of the sparse file an ext4 is made in. */
static const off_t disk_size = 3LL << 30;

static int not_here(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s", what);
}

static int path_of(const struct sl_bench_place *place, const char *name, char path[PATH_SIZE])
{
    return snprintf(path, PATH_SIZE, "%s/%s", place->base, name);
}

static int run_program(const char *const argv[], struct sl_error *err)
{
    const struct sl_subprocess program = {
        .argv = argv, .deadline_ms = DEADLINE_MS, .errors_max = ERRORS_MAX};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error why = {0};
    if (sl_subprocess_run(&program, &result, &why) < 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "no %s: %s", argv[0], why.msg);
    if (!WIFEXITED(result.status) || WEXITSTATUS(result.status))
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s fails here", argv[0]);
    return 0;
}

static int mount_ext4(const struct sl_bench_place *place, const char *root, struct sl_error *err)
{
    char disk[PATH_SIZE];
    (void)path_of(place, "disk", disk);
    /* A new file: the old one's loop device may not have let go of it yet. */
    (void)unlink(disk);
    SL_AUTO_FD fd = open(disk, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, disk_size) < 0)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot make %s", disk);
    int r = run_program((const char *const[]){"mkfs.ext4", "-q", "-F", disk, NULL}, err);
    if (r == 0)
        r = run_program((const char *const[]){"mount", "-o", "loop", disk, root, NULL}, err);
    return r;
}

static int mount_one(const struct sl_bench_place *place, struct sl_error *err)
{
    char root[PATH_SIZE];
    (void)path_of(place, "root", root);
    if (place->fs == SL_BENCH_EXT4)
        return mount_ext4(place, root, err);
    if (mount("tmpfs", root, "tmpfs", 0, "mode=0755,size=75%") < 0)
        return not_here(err, "a tmpfs cannot be mounted");
    return 0;
}

static int enter(struct sl_error *err)
{
    static bool is_inside;
    if (!is_inside && !own_mounts_enter())
        return not_here(err, "it mounts a file system, for which it must be root");
    is_inside = true;
    return 0;
}

int sl_bench_place_open(enum sl_bench_fs fs, struct sl_bench_place *ret, struct sl_error *err)
{
    struct sl_bench_place place = {.fs = fs, .base = "/tmp/sluice-bench-XXXXXX", .root_fd = -1};
    char root[PATH_SIZE];
    int r = enter(err);
    if (r < 0)
        return r;
    if (!mkdtemp(place.base))
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot make a folder in /tmp");
    if (mount("tmpfs", place.base, "tmpfs", 0, "mode=0755,size=75%") < 0) {
        (void)rmdir(place.base);
        return not_here(err, "a tmpfs cannot be mounted");
    }
    (void)path_of(&place, "root", root);
    r = mkdir(root, 0755) < 0 ? sl_error_set(err, SL_E_SYSTEM, errno, "cannot make %s", root) : 0;
    r = r ? r : mount_one(&place, err);
    if (r < 0) {
        sl_bench_place_close(&place);
        return r;
    }
    *ret = place;
    return 0;
}

int sl_bench_place_reset(struct sl_bench_place *place, struct sl_error *err)
{
    char root[PATH_SIZE];
    (void)path_of(place, "root", root);
    sl_cleanup_fdp(&place->root_fd);
    place->root_fd = -1;
    if (umount2(root, 0) < 0)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot unmount %s", root);
    int r = mount_one(place, err);
    if (r < 0)
        return r;
    place->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return place->root_fd < 0 ? sl_error_set(err, SL_E_SYSTEM, errno, "cannot open %s", root) : 0;
}

void sl_bench_place_close(struct sl_bench_place *place)
{
    char root[PATH_SIZE];
    if (!place->base[0])
        return;
    (void)path_of(place, "root", root);
    sl_cleanup_fdp(&place->root_fd);
    (void)umount2(root, MNT_DETACH);
    (void)umount2(place->base, MNT_DETACH);
    (void)rmdir(place->base);
    *place = (struct sl_bench_place){.root_fd = -1};
}
