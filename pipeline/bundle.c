/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle: a folder with rootfs/ mounted and config.json beside it, as a runtime wants it. */
#include "runtime_config.h"
#include "sluice/core/log.h"
#include "sluice/pipeline.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_NAME "config.json"

/* A bundle by what was opened, not by what a name may mean by now: others may have a hand in the
 * folders above. */
struct bundle {
    int fd, rootfs_fd;
    char *path; /* absolute, for people */
    char *rootfs;
    bool has_made_rootfs;
};

static void bundle_done(struct bundle *b)
{
    sl_cleanup_fdp(&b->rootfs_fd);
    sl_cleanup_fdp(&b->fd);
    free(b->path);
    free(b->rootfs);
}
SL_DEFINE_AUTO_DONE(bundle, bundle_done)

/* ---- what is mounted ---- */

/* Whoever lives in that image could change the bundle while it is made and used. */
static bool is_inside(const struct bundle *b, const struct sl_mount_record *mount)
{
    size_t len = strlen(mount->target);
    return mount->in_place && strncmp(b->path, mount->target, len) == 0 &&
           (b->path[len] == '/' || !b->path[len]);
}

/* 1 when the mount is this bundle's, of this image. */
static int judge_mount(const struct bundle *b, const struct sl_image_record *image,
                       const struct sl_mount_record *mount, struct sl_error *err)
{
    if (is_inside(b, mount))
        return sl_error_set(err, SL_E_POLICY, EPERM, "it is inside the image that is mounted at %s",
                            mount->target);
    if (!mount->in_place || strcmp(mount->target, b->rootfs) != 0)
        return 0;
    if (!sl_digest_is_equal(&mount->manifest, &image->manifest))
        return sl_error_set(err, SL_E_SYSTEM, EBUSY,
                            "%s: another image is mounted there; unmount it first", b->rootfs);
    return 1;
}

/* 1 when the bundle already shows this image, 0 when nothing of ours is there. */
static int is_mounted(struct sl_store *store, const struct sl_image_record *image,
                      const struct bundle *b, struct sl_error *err)
{
    struct sl_mount_record **mounts;
    int r = sl_store_list_mounts_above(store, b->rootfs, &mounts, err);
    if (r < 0)
        return r;
    for (size_t i = 0; mounts[i]; i++) {
        struct sl_mount_record *m = mounts[i];
        if (r == 0)
            r = judge_mount(b, image, m, err);
        (void)sl_mount_record_free(m);
    }
    free(mounts);
    return r;
}

/* ---- config.json ---- */

static int make_config(int bundle_fd, const struct sl_image_record *image, struct sl_error *err)
{
    SL_AUTO(sl_image_config) config = NULL;
    SL_AUTO_DONE(sl_bytes) json = {0};
    struct sl_process_user user = {0};
    int r = sl_image_config_parse(sl_bytes_span(&image->config_json), &config, err);
    if (r < 0)
        return r;
    SL_AUTO_FD rootfs = openat(bundle_fd, "rootfs", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rootfs < 0)
        return sl_error_system(err, errno, "rootfs");
    r = sl_process_user_resolve(rootfs, config->user, &user, err);
    if (r == 0)
        r = sl_runtime_config_format(config, &user, &json, err);
    sl_process_user_done(&user);
    return r < 0 ? r : sl_replace_file(bundle_fd, CONFIG_NAME, sl_bytes_span(&json), 0644, err);
}

/* ---- the whole ---- */

/* One pull at a time fills a bundle: the next one then sees what is mounted. Released with the
 * descriptor; nobody holds it for longer than a mount takes. */
static int lock_bundle(const struct bundle *b, struct sl_error *err)
{
    int r;
    do
        r = flock(b->fd, LOCK_EX);
    while (r < 0 && errno == EINTR);
    return r < 0 ? sl_error_system(err, errno, "locking it") : 0;
}

static int open_rootfs(struct bundle *b, struct sl_error *err)
{
    b->has_made_rootfs = mkdirat(b->fd, "rootfs", 0755) == 0;
    if (!b->has_made_rootfs && errno != EEXIST)
        return sl_error_system(err, errno, "making rootfs");
    b->rootfs_fd = openat(b->fd, "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (b->rootfs_fd < 0)
        return sl_error_system(err, errno, "rootfs");
    b->rootfs = sl_path_of_fd(b->rootfs_fd);
    return b->rootfs ? 0 : sl_error_system(err, errno, "rootfs");
}

static int mount_and_describe(struct sl_store *store, const struct sl_image_record *image,
                              const struct bundle *b, struct sl_error *err)
{
    char target[64];
    int mounted = is_mounted(store, image, b, err);
    if (mounted < 0)
        return mounted;
    (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", b->rootfs_fd);
    int r = mounted ? 0 : sl_store_mount(store, image, target, /* options= */ NULL, err);
    if (r < 0)
        return r;
    r = make_config(b->fd, image, err);
    /* The first failure is the one to tell. */
    if (r < 0 && !mounted && sl_store_unmount(store, b->rootfs, /* err= */ NULL) < 0)
        sl_log(SL_LOG_DEBUG, "%s: cannot unmount", b->rootfs);
    return r < 0 ? r : mounted;
}

static int fill_bundle(struct sl_store *store, const struct sl_image_record *image,
                       const char *bundle, struct sl_error *err)
{
    SL_AUTO_DONE(bundle) b = {.fd = -1, .rootfs_fd = -1};
    b.fd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    b.path = b.fd < 0 ? NULL : sl_path_of_fd(b.fd);
    if (!b.path)
        return sl_error_system(err, errno, "bundle %s", bundle);
    int r = lock_bundle(&b, err);
    if (r == 0)
        r = open_rootfs(&b, err);
    if (r == 0)
        r = mount_and_describe(store, image, &b, err);
    if (r < 0 && b.has_made_rootfs)
        (void)unlinkat(b.fd, "rootfs", AT_REMOVEDIR);
    return r < 0 ? sl_error_wrap(err, r, "bundle %s", b.path) : r;
}

int sl_bundle_mount(struct sl_store *store, const struct sl_image_record *image, const char *bundle,
                    struct sl_error *err)
{
    bool made = mkdir(bundle, 0755) == 0;
    if (!made && errno != EEXIST)
        return sl_error_system(err, errno, "bundle %s", bundle);
    int r = fill_bundle(store, image, bundle, err);
    if (r < 0 && made)
        (void)rmdir(bundle);
    return r;
}
