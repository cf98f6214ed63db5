/* SPDX-License-Identifier: Apache-2.0 */
/* From an image record to a root file system. */
#include "sluice/overlay_mount.h"

#include "implicit_dirs.h"
#include "mount_store.h"
#include "mount_target.h"
#include "overlay_syscalls.h"
#include "staging.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* mounts/<id>, locked from its time in staging/ until the mount stands or has failed. */
struct new_mount {
    struct sl_staging_entry entry;
    char id[SL_STORE_ID_MAX];
};

static int make_dirs(const struct sl_store *store, const struct sl_layer_stack *stack, int dir,
                     struct sl_error *err)
{
    static const char *const names[] = {"upper", "work", "empty"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (mkdirat(dir, names[i], 0700) < 0)
            return sl_error_system(err, errno, "creating %s", names[i]);
    SL_AUTO_FD upper = openat(dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        return sl_error_system(err, errno, "opening upper");
    return sl_implicit_dirs_seed(store, stack, upper, err);
}

static int write_record(const struct sl_store *store, const struct sl_image_record *image,
                        const struct sl_mount_target *target, const char *dir, struct sl_error *err)
{
    const struct sl_mount_record record = {
        .target = target->path,
        .manifest = image->manifest,
        .diff_ids = image->diff_ids,
        .n_layers = image->n_layers,
    };
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_staging_entry file = SL_STAGING_ENTRY_NONE;
    struct sl_mount_origin origin;
    int r = sl_mount_origin_here(&origin, err);
    if (r == 0)
        r = sl_mount_record_format(&record, &origin, &text, err);
    if (r == 0)
        r = sl_staging_new_file(store, sl_bytes_span(&text), /* sync= */ false, &file, err);
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/mount.json", dir);
    r = sl_staging_publish(store, &file, path, err);
    sl_staging_drop(store, &file);
    return r;
}

/* Under the shared lock: the layers are there, and from the moment the record is in mounts/ they
 * stay. The upper directory is seeded before, so that gc does not wait for it. */
static int publish(struct sl_store *store, const struct sl_layer_stack *stack,
                   struct new_mount *mount, struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(store, LOCK_SH, &lock, err);
    for (size_t i = 0; i < stack->n && r == 0; i++) {
        r = sl_store_has_layer(store, &stack->layers[i].diff_id, err);
        if (r == 0)
            return sl_error_set(err, SL_E_SYSTEM, ENOENT,
                                "a layer was removed meanwhile (pull the image again)");
        r = r < 0 ? r : 0;
    }
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX];
    sl_store_random_id(mount->id);
    (void)snprintf(path, sizeof(path), "mounts/%s", mount->id);
    return sl_staging_publish(store, &mount->entry, path, err);
}

static int prepare(struct sl_store *store, const struct sl_image_record *image,
                   const struct sl_mount_target *target, const struct sl_layer_stack *stack,
                   struct new_mount *mount, struct sl_error *err)
{
    int r = sl_staging_new_dir(store, &mount->entry, err);
    if (r == 0)
        r = make_dirs(store, stack, mount->entry.fd, err);
    if (r == 0)
        r = write_record(store, image, target, mount->entry.path, err);
    if (r == 0)
        sl_store_step(store, "mount-staged");
    if (r == 0)
        r = publish(store, stack, mount, err);
    if (r == 0)
        sl_store_step(store, "mount-recorded");
    return r;
}

static int mount_at(struct sl_store *store, const struct sl_image_record *image,
                    const struct sl_mount_target *target, const struct sl_mount_options *options,
                    struct sl_error *err)
{
    SL_AUTO_DONE(sl_layer_stack) stack = {0};
    struct new_mount mount = {.entry = SL_STAGING_ENTRY_NONE};
    int r = sl_layer_stack_load(store, image->diff_ids, image->n_layers, &stack, err);
    if (r == 0)
        r = prepare(store, image, target, &stack, &mount, err);
    if (r == 0) {
        const struct sl_overlay overlay = {
            .store = store,
            .stack = &stack,
            .id = mount.id,
            .target = target->fd,
            .read_only = options && options->read_only,
            .no_lowerdir_plus = options && options->no_lowerdir_plus,
        };
        r = sl_overlay_mount(&overlay, err);
        if (r == 0)
            sl_store_step(store, "mounted");
        else if (sl_mount_discard(store, mount.id, /* err= */ NULL) < 0)
            r = sl_error_wrap(err, r, "mounts/%s is left for gc", mount.id);
    }
    sl_staging_drop(store, &mount.entry);
    return r;
}

/* The usual reason in a container: its own root is an overlay. */
static int explain_failure(const struct sl_store *store, int r, struct sl_error *err)
{
    struct statfs fs;
    if (r != -EINVAL || fstatfs(store->fd, &fs) < 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
        return r;
    return sl_error_set(err, SL_E_SYSTEM, EINVAL,
                        "the store %s lies on overlayfs, which cannot hold the writable layer of "
                        "another overlay; choose another --root (ext4, xfs, tmpfs)",
                        store->root);
}

int sl_store_mount(struct sl_store *store, const struct sl_image_record *image, const char *target,
                   const struct sl_mount_options *options, struct sl_error *err)
{
    SL_AUTO_DONE(sl_mount_target) place = {.fd = -1};
    int r = sl_mount_target_open(target, &place, err);
    if (r < 0)
        return r;
    r = mount_at(store, image, &place, options, err);
    if (r < 0) {
        sl_mount_target_undo(&place);
        r = explain_failure(store, r, err);
        return sl_error_wrap(err, r, "mounting at %s", place.path);
    }
    return 0;
}
