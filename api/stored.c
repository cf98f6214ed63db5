/* SPDX-License-Identifier: Apache-2.0 */
/* What is in the store, and what a caller does with it. */
#include "api.h"

#include "pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- images ---- */

struct records {
    struct sl_image_record **images; /* NULL-terminated */
};

static void records_done(struct records *records)
{
    for (size_t i = 0; records->images && records->images[i]; i++)
        (void)sl_image_record_free(records->images[i]);
    free(records->images);
}
SL_DEFINE_AUTO_DONE(records, records_done)

static const struct sluice_image *pack_image(struct sl_pack *p, const struct sl_image_record *from)
{
    const char **diff_ids = sl_pack_room(p, from->n_layers * sizeof(*diff_ids));
    for (size_t i = 0; i < from->n_layers; i++) {
        const char *text = sl_pack_digest(p, &from->diff_ids[i]);
        if (diff_ids)
            diff_ids[i] = text;
    }
    const struct sluice_image image = {
        .name = sl_pack_text(p, from->name),
        .manifest = sl_pack_digest(p, &from->manifest),
        .config = sl_pack_digest(p, &from->config),
        .n_layers = from->n_layers,
        .diff_ids = diff_ids,
        .encrypted = from->encrypted,
        .bytes = from->size,
        .pulled = from->pulled,
        .verdict = from->verdict_json.len ? sl_pack_bytes(p, &from->verdict_json) : NULL,
    };
    return sl_pack_value(p, &image, sizeof(image));
}

static void pack_images(struct sl_pack *p, const void *records)
{
    struct sl_image_record *const *from = ((const struct records *)records)->images;
    struct sluice_image_list *to = sl_pack_room(p, sizeof(*to));
    size_t n = 0;
    while (from[n])
        n++;
    const struct sluice_image **images = sl_pack_room(p, n * sizeof(struct sluice_image *));
    for (size_t i = 0; i < n; i++) {
        const struct sluice_image *image = pack_image(p, from[i]);
        if (images)
            images[i] = image;
    }
    if (to)
        *to = (struct sluice_image_list){.n = n, .images = images};
}

static int list_images(struct sluice *s, struct sluice_image_list **ret, struct sl_error *err)
{
    SL_AUTO_DONE(records) records = {0};
    int r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_store_list_images(s->store, &records.images, err);
    if (r < 0)
        return r;
    struct sluice_image_list *list = sl_pack_make(pack_images, &records);
    if (!list)
        return sl_error_oom(err);
    *ret = list;
    return 0;
}

int sluice_list(struct sluice *s, struct sluice_image_list **ret, struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(list_images(s, ret, &why), &why, err);
}

struct sluice_image_list *sluice_image_list_free(struct sluice_image_list *list)
{
    free(list);
    return NULL;
}

/* ---- mounts ---- */

struct mounts {
    struct sl_mount_record **mounts; /* NULL-terminated */
};

static void mounts_done(struct mounts *mounts)
{
    for (size_t i = 0; mounts->mounts && mounts->mounts[i]; i++)
        (void)sl_mount_record_free(mounts->mounts[i]);
    free(mounts->mounts);
}
SL_DEFINE_AUTO_DONE(mounts, mounts_done)

static const struct sluice_mount *pack_mount(struct sl_pack *p, const struct sl_mount_record *from)
{
    const struct sluice_mount mount = {.target = sl_pack_text(p, from->target),
                                       .manifest = sl_pack_digest(p, &from->manifest),
                                       .alive = from->alive};
    return sl_pack_value(p, &mount, sizeof(mount));
}

static void pack_mounts(struct sl_pack *p, const void *records)
{
    struct sl_mount_record *const *from = ((const struct mounts *)records)->mounts;
    struct sluice_mount_list *to = sl_pack_room(p, sizeof(*to));
    size_t n = 0;
    while (from[n])
        n++;
    const struct sluice_mount **mounts = sl_pack_room(p, n * sizeof(struct sluice_mount *));
    for (size_t i = 0; i < n; i++) {
        const struct sluice_mount *mount = pack_mount(p, from[i]);
        if (mounts)
            mounts[i] = mount;
    }
    if (to)
        *to = (struct sluice_mount_list){.n = n, .mounts = mounts};
}

static int list_mounts(struct sluice *s, struct sluice_mount_list **ret, struct sl_error *err)
{
    SL_AUTO_DONE(mounts) records = {0};
    int r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_store_list_mounts(s->store, &records.mounts, err);
    if (r < 0)
        return r;
    struct sluice_mount_list *list = sl_pack_make(pack_mounts, &records);
    if (!list)
        return sl_error_oom(err);
    *ret = list;
    return 0;
}

int sluice_list_mounts(struct sluice *s, struct sluice_mount_list **ret, struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(list_mounts(s, ret, &why), &why, err);
}

struct sluice_mount_list *sluice_mount_list_free(struct sluice_mount_list *list)
{
    free(list);
    return NULL;
}

/* ---- one image ---- */

static bool is_digest(const char *text)
{
    return sl_digest_parse(text, &(struct sl_digest){0}, /* err= */ NULL) == 0;
}

/* "busybox" as well as "docker.io/library/busybox:latest": the store knows canonical names. */
static int find_image(struct sluice *s, const char *text, struct sl_image_record **ret,
                      struct sl_error *err)
{
    int r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_api_need_text(text, "image", err);
    if (r < 0)
        return r;
    r = sl_store_find_image(s->store, text, ret, err);
    if (r == 0 || is_digest(text))
        return r;
    SL_AUTO_FREE char *name = sl_image_canonical_name(text);
    if (name && sl_store_find_image(s->store, name, ret, /* err= */ NULL) == 0)
        return 0;
    return r;
}

/* One without a name goes by its digest, however it was called. */
static int remove_image(struct sluice *s, const char *text, bool force, struct sl_error *err)
{
    SL_AUTO(sl_image_record) image = NULL;
    char digest[SL_DIGEST_TEXT_MAX];
    int r = find_image(s, text, &image, err);
    if (r < 0)
        return r;
    sl_digest_format(&image->manifest, digest);
    bool by_digest = !image->name || is_digest(text);
    return sl_store_remove_image(s->store, by_digest ? digest : image->name, force, err);
}

int sluice_remove(struct sluice *s, const char *image, bool force, struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(remove_image(s, image, force, &why), &why, err);
}

static int mount_image(struct sluice *s, const char *text, const char *target, bool read_only,
                       struct sl_error *err)
{
    SL_AUTO(sl_image_record) image = NULL;
    const struct sl_mount_options options = {.read_only = read_only};
    int r = sl_api_need_text(target, "target", err);
    if (r == 0)
        r = find_image(s, text, &image, err);
    return r < 0 ? r : sl_store_mount(s->store, image, target, &options, err);
}

int sluice_mount(struct sluice *s, const char *image, const char *target, bool read_only,
                 struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(mount_image(s, image, target, read_only, &why), &why, err);
}

/* A bundle has no use for names, and an image may have many. */
static int find_nameless(struct sluice *s, const char *text, struct sl_image_record **ret,
                         struct sl_error *err)
{
    struct sl_digest manifest;
    bool is_whole = s->store && text && sl_digest_parse(text, &manifest, /* err= */ NULL) == 0;
    int r = is_whole ? sl_store_load_image(s->store, &manifest, ret, err) : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    return find_image(s, text, ret, err);
}

static int mount_bundle(struct sluice *s, const char *text, const char *bundle,
                        struct sl_error *err)
{
    SL_AUTO(sl_image_record) image = NULL;
    int r = sl_api_need_text(bundle, "bundle", err);
    if (r == 0)
        r = find_nameless(s, text, &image, err);
    return r < 0 ? r : sl_bundle_mount(s->store, image, bundle, err);
}

int sluice_mount_bundle(struct sluice *s, const char *image, const char *bundle,
                        struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(mount_bundle(s, image, bundle, &why), &why, err);
}

/* A bundle is named by its folder: the mount is its rootfs. */
static int unmount(struct sluice *s, const char *target, struct sl_error *err)
{
    int r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_api_need_text(target, "target", err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *rootfs = sl_strf("%s/rootfs", target);
    SL_AUTO_FREE char *config = sl_strf("%s/config.json", target);
    if (!rootfs || !config)
        return sl_error_oom(err);
    if (access(config, F_OK) != 0 || access(rootfs, F_OK) != 0)
        return sl_store_unmount(s->store, target, err);
    r = sl_store_unmount(s->store, rootfs, err);
    if (r < 0)
        return r;
    (void)rmdir(rootfs);
    (void)unlink(config);
    return 0;
}

int sluice_unmount(struct sluice *s, const char *target, struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(unmount(s, target, &why), &why, err);
}

/* ---- room ---- */

int sluice_forget_dead_mounts(struct sluice *s, unsigned *ret, struct sluice_error *err)
{
    struct sl_error why = {0};
    unsigned n = 0;
    int r = sl_api_need_store(s, &why);
    if (r == 0)
        r = sl_store_forget_dead_mounts(s->store, &n, &why);
    if (r == 0 && ret)
        *ret = n;
    return sl_api_result(r, &why, err);
}

static int collect(struct sluice *s, bool dry_run, struct sluice_gc_result *ret,
                   struct sl_error *err)
{
    struct sl_gc_result gc = {0};
    int r = sl_api_need_store(s, err);
    if (r == 0)
        r = sl_store_gc(s->store, dry_run, &gc, err);
    if (r < 0 || !ret)
        return r;
    const struct sluice_gc_result result = {.layers = gc.layers,
                                            .blobs = gc.blobs,
                                            .images = gc.images,
                                            .staging = gc.staging,
                                            .bytes = gc.bytes};
    sl_api_give(ret, &result, sizeof(result));
    return 0;
}

int sluice_gc(struct sluice *s, bool dry_run, struct sluice_gc_result *ret,
              struct sluice_error *err)
{
    struct sl_error why = {0};
    return sl_api_result(collect(s, dry_run, ret, &why), &why, err);
}
