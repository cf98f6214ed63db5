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
#define CONFIG_ASIDE ".config.json.new"

/* 1 when target already shows this image, 0 when nothing of ours is there. */
static int is_mounted(struct sl_store *store, const struct sl_image_record *image,
                      const char *target, struct sl_error *err)
{
    SL_AUTO_FREE char *real = realpath(target, NULL);
    struct sl_mount_record **mounts;
    if (!real)
        return 0;
    int r = sl_store_list_mounts(store, &mounts, err);
    if (r < 0)
        return r;
    for (size_t i = 0; mounts[i]; i++) {
        struct sl_mount_record *m = mounts[i];
        if (r == 0 && m->alive && strcmp(m->target, real) == 0)
            r = sl_digest_is_equal(&m->manifest, &image->manifest)
                    ? 1
                    : sl_error_set(err, SL_E_SYSTEM, EBUSY,
                                   "%s: another image is mounted there; unmount it first", target);
        (void)sl_mount_record_free(m);
    }
    free(mounts);
    return r;
}

static int write_config(int bundle_fd, struct sl_span json, struct sl_error *err)
{
    SL_AUTO_FD fd = openat(bundle_fd, CONFIG_ASIDE,
                           O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return sl_error_system(err, errno, CONFIG_NAME);
    while (json.len) {
        ssize_t n = write(fd, json.data, json.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        json.data += n;
        json.len -= (size_t)n;
    }
    if (json.len || renameat(bundle_fd, CONFIG_ASIDE, bundle_fd, CONFIG_NAME) < 0) {
        int errnum = errno;
        (void)unlinkat(bundle_fd, CONFIG_ASIDE, 0);
        return sl_error_system(err, errnum, CONFIG_NAME);
    }
    return 0;
}

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
    return r < 0 ? r : write_config(bundle_fd, sl_bytes_span(&json), err);
}

/* One pull at a time fills a bundle: the next one then sees what is mounted. Released with the
 * descriptor; nobody holds it for longer than a mount takes. */
static int lock_bundle(int bundle_fd, const char *bundle, struct sl_error *err)
{
    int r;
    do
        r = flock(bundle_fd, LOCK_EX);
    while (r < 0 && errno == EINTR);
    return r < 0 ? sl_error_system(err, errno, "locking bundle %s", bundle) : 0;
}

static int fill_bundle(struct sl_store *store, const struct sl_image_record *image,
                       const char *bundle, struct sl_error *err)
{
    SL_AUTO_FREE char *target = sl_strf("%s/rootfs", bundle);
    if (!target)
        return sl_error_oom(err);
    SL_AUTO_FD bundle_fd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (bundle_fd < 0)
        return sl_error_system(err, errno, "bundle %s", bundle);
    int r = lock_bundle(bundle_fd, bundle, err);
    if (r < 0)
        return r;
    int mounted = is_mounted(store, image, target, err);
    if (mounted < 0)
        return mounted;
    r = mounted ? 0 : sl_store_mount(store, image, target, /* options= */ NULL, err);
    if (r < 0)
        return r;
    r = make_config(bundle_fd, image, err);
    /* The first failure is the one to tell. */
    if (r < 0 && !mounted && sl_store_unmount(store, target, /* err= */ NULL) < 0)
        sl_log(SL_LOG_DEBUG, "%s: cannot unmount", target);
    return r < 0 ? sl_error_wrap(err, r, "bundle %s", bundle) : mounted;
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
