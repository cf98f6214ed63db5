/* SPDX-License-Identifier: Apache-2.0 */
/* images/ and refs/: what was pulled, and by which names it goes. */
#include "mount_store.h"
#include "staging.h"
#include "store_refs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    /* Bytes: config and manifest of 4 MiB each in base64, and the layers. */
    IMAGE_RECORD_MAX = 16 * 1024 * 1024,
    DIGEST_PREFIX_MIN = 6, /* hex digits */
};

int sl_store_load_image(const struct sl_store *store, const struct sl_digest *manifest,
                        struct sl_image_record **ret, struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    SL_AUTO_DONE(sl_bytes) text = {0};
    sl_store_path(path, "images", manifest, ".json");
    int r = sl_store_has(store, path, err);
    if (r <= 0)
        return r;
    r = sl_read_file(store->fd, path, IMAGE_RECORD_MAX, &text, err);
    if (r == -ENOENT)
        return 0;
    if (r >= 0)
        r = sl_image_record_parse(sl_bytes_span(&text), manifest, ret, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s/%s is damaged (remove it and pull the image again)",
                             store->root, path);
    return 1;
}

/* ---- commit ---- */

static int need_layers(struct sl_store *store, const struct sl_image_record *record,
                       struct sl_error *err)
{
    for (size_t i = 0; i < record->n_layers; i++) {
        int r = sl_store_has_layer(store, &record->diff_ids[i], err);
        if (r < 0)
            return r;
        if (r == 0)
            return sl_error_set(err, SL_E_SYSTEM, ENOENT,
                                "layer %zu/%zu of the image is not in the store", i + 1,
                                record->n_layers);
    }
    return 0;
}

/* ---- what need not be written ---- */

/* 1 when text is the file's. What is missing or damaged is not. */
static int has_text(const struct sl_store *store, const char *path, struct sl_span text,
                    struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) found = {0};
    int r = sl_read_file(store->fd, path, text.len, &found, /* err= */ NULL);
    if (r == -ENOMEM)
        return sl_error_oom(err);
    return r == 0 && sl_span_is_equal(sl_bytes_span(&found), text);
}

/* 1 when the record of the store says the same, but for when it was pulled. */
static int is_recorded(const struct sl_store *store, const struct sl_image_record *record,
                       struct sl_error *err)
{
    SL_AUTO(sl_image_record) found = NULL;
    SL_AUTO_DONE(sl_bytes) text = {0}, old = {0};
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "images", &record->manifest, ".json");
    int r = sl_read_file(store->fd, path, IMAGE_RECORD_MAX, &old, /* err= */ NULL);
    if (r == 0)
        r = sl_image_record_parse(sl_bytes_span(&old), &record->manifest, &found, /* err= */ NULL);
    if (r < 0)
        return r == -ENOMEM ? sl_error_oom(err) : 0;
    struct sl_image_record as_then = *record; /* lends all it points to */
    as_then.pulled = found->pulled;
    r = sl_image_record_format(&as_then, &text, err);
    return r < 0 ? r : sl_span_is_equal(sl_bytes_span(&text), sl_bytes_span(&old));
}

static int is_named(const struct sl_store *store, const struct sl_image_record *record,
                    struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    char path[NAME_MAX + 1];
    if (!record->name)
        return 1;
    int r = sl_ref_path(record->name, path, err);
    if (r == 0)
        r = sl_ref_record_format(record->name, &record->manifest, &text, err);
    return r < 0 ? r : has_text(store, path, sl_bytes_span(&text), err);
}

/* 1 when the image is in the store as record says: what an image that is pulled again need not
 * write, and need not wait for the disk for. */
static int is_committed(struct sl_store *store, const struct sl_image_record *record,
                        struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(store, LOCK_SH, &lock, err);
    if (r == 0)
        r = is_recorded(store, record, err);
    if (r == 1)
        r = is_named(store, record, err);
    if (r <= 0)
        return r;
    r = need_layers(store, record, err);
    return r < 0 ? r : 1;
}

struct image_files {
    struct sl_staging_entry image;
    struct sl_staging_entry ref;
    char image_path[SL_STORE_PATH_MAX];
    char ref_path[NAME_MAX + 1];
};

static int write_files(struct sl_store *store, const struct sl_image_record *record,
                       struct image_files *files, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) image = {0};
    SL_AUTO_DONE(sl_bytes) ref = {0};
    sl_store_path(files->image_path, "images", &record->manifest, ".json");
    int r = sl_image_record_format(record, &image, err);
    if (r == 0)
        r = sl_staging_new_file(store, sl_bytes_span(&image), /* sync= */ true, &files->image, err);
    if (r < 0 || !record->name)
        return r;
    r = sl_ref_path(record->name, files->ref_path, err);
    if (r == 0)
        r = sl_ref_record_format(record->name, &record->manifest, &ref, err);
    if (r == 0)
        r = sl_staging_new_file(store, sl_bytes_span(&ref), /* sync= */ true, &files->ref, err);
    return r;
}

static int publish_files(struct sl_store *store, const struct sl_image_record *record,
                         struct image_files *files, struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(store, LOCK_SH, &lock, err);
    if (r == 0)
        r = need_layers(store, record, err);
    if (r == 0)
        r = sl_staging_publish(store, &files->image, files->image_path, err);
    if (r == 0)
        sl_store_step(store, "image-written");
    if (r == 0 && record->name)
        r = sl_staging_publish(store, &files->ref, files->ref_path, err);
    if (r == 0 && record->name)
        sl_store_step(store, "ref-written");
    return r;
}

static int sync_names(struct sl_store *store, const struct sl_image_record *record,
                      struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    (void)snprintf(path, sizeof(path), "images/%s", sl_digest_alg_name(record->manifest.alg));
    int r = sl_store_sync_dir(store, path, err);
    return r < 0 ? r : sl_store_sync_dir(store, "refs", err);
}

int sl_image_commit(struct sl_store *store, const struct sl_gate_pass *pass,
                    const struct sl_image_record *record, struct sl_error *err)
{
    if (!pass)
        return sl_error_set(err, SL_E_POLICY, EPERM, "an image may only be committed by the gate");
    struct image_files files = {.image = SL_STAGING_ENTRY_NONE, .ref = SL_STAGING_ENTRY_NONE};
    int r = is_committed(store, record, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = write_files(store, record, &files, err);
    if (r == 0)
        sl_store_step(store, "image-staged");
    if (r == 0)
        r = publish_files(store, record, &files, err);
    sl_staging_drop(store, &files.image);
    sl_staging_drop(store, &files.ref);
    if (r == 0)
        r = sync_names(store, record, err);
    return r;
}

/* ---- find ---- */

struct prefix_search {
    const char *prefix;
    struct sl_digest found;
    unsigned n;
};

static int match_prefix(void *arg, const struct sl_digest *manifest, struct sl_error *err)
{
    (void)err;
    struct prefix_search *search = arg;
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(manifest, hex);
    if (strncasecmp(hex, search->prefix, strlen(search->prefix)) == 0) {
        search->found = *manifest;
        search->n++;
    }
    return 0;
}

static int find_by_prefix(const struct sl_store *store, const char *text, struct sl_digest *ret,
                          struct sl_error *err)
{
    size_t len = strlen(text);
    if (len < DIGEST_PREFIX_MIN || strspn(text, "0123456789abcdefABCDEF") != len)
        return 0;
    struct prefix_search search = {.prefix = text};
    int r = sl_store_each_digest(store, "images", ".json", match_prefix, &search, err);
    if (r < 0)
        return r;
    if (search.n > 1)
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "%s is the beginning of %u digests (give more digits)", text, search.n);
    if (search.n == 1)
        *ret = search.found;
    return (int)search.n;
}

/* What the text means: a digest, a name, or the beginning of a digest. */
static int resolve(const struct sl_store *store, const char *text, struct sl_digest *ret,
                   bool *ret_by_name, struct sl_error *err)
{
    if (sl_digest_parse(text, ret, /* err= */ NULL) == 0) {
        *ret_by_name = false;
        return 0;
    }
    int r = sl_ref_find(store, text, ret, err);
    *ret_by_name = r > 0;
    if (r == 0)
        r = find_by_prefix(store, text, ret, err);
    if (r == 0)
        return sl_error_set(err, SL_E_SYSTEM, ENOENT, "no image %s in the store %s", text,
                            store->root);
    return r < 0 ? r : 0;
}

struct first_name {
    const struct sl_digest *manifest;
    char *name;
};

static int note_first_name(void *arg, const char *path, const char *name,
                           const struct sl_digest *manifest, struct sl_error *err)
{
    (void)path;
    struct first_name *first = arg;
    if (!sl_digest_is_equal(manifest, first->manifest) ||
        (first->name && strcmp(first->name, name) <= 0))
        return 0;
    free(first->name);
    first->name = strdup(name);
    return first->name ? 0 : sl_error_oom(err);
}

int sl_store_find_image(struct sl_store *store, const char *name_or_digest,
                        struct sl_image_record **ret, struct sl_error *err)
{
    struct sl_digest manifest;
    bool by_name = false;
    int r = resolve(store, name_or_digest, &manifest, &by_name, err);
    SL_AUTO(sl_image_record) record = NULL;
    if (r == 0)
        r = sl_store_load_image(store, &manifest, &record, err);
    if (r < 0)
        return r;
    if (!record)
        return sl_error_set(err, SL_E_SYSTEM, ENOENT, "no image %s in the store %s", name_or_digest,
                            store->root);
    struct first_name first = {.manifest = &manifest};
    if (by_name)
        first.name = strdup(name_or_digest);
    else
        r = sl_ref_each(store, note_first_name, &first, err);
    record->name = first.name;
    if (r < 0)
        return r;
    if (by_name && !record->name)
        return sl_error_oom(err);
    *ret = sl_steal(&record);
    return 0;
}

/* ---- list ---- */

struct image_list {
    const struct sl_store *store;
    struct sl_image_record **records;
    size_t n;
};

static void image_list_done(struct image_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        (void)sl_image_record_free(list->records[i]);
    free(list->records);
}
SL_DEFINE_AUTO_DONE(image_list, image_list_done)

static int add_image(struct image_list *list, const char *name, const struct sl_digest *manifest,
                     struct sl_error *err)
{
    SL_AUTO(sl_image_record) record = NULL;
    int r = sl_store_load_image(list->store, manifest, &record, err);
    if (r <= 0)
        return r;
    if (name)
        record->name = strdup(name);
    if (name && !record->name)
        return sl_error_oom(err);
    /* One more for the NULL at the end. */
    struct sl_image_record **more =
        realloc(list->records, (list->n + 2) * sizeof(struct sl_image_record *));
    if (!more)
        return sl_error_oom(err);
    list->records = more;
    list->records[list->n++] = sl_steal(&record);
    list->records[list->n] = NULL;
    return 0;
}

static int add_named(void *arg, const char *path, const char *name,
                     const struct sl_digest *manifest, struct sl_error *err)
{
    (void)path;
    return add_image(arg, name, manifest, err);
}

static int add_nameless(void *arg, const struct sl_digest *manifest, struct sl_error *err)
{
    struct image_list *list = arg;
    for (size_t i = 0; i < list->n; i++)
        if (sl_digest_is_equal(&list->records[i]->manifest, manifest))
            return 0;
    return add_image(list, NULL, manifest, err);
}

/* Those without a name last, by digest. */
static int compare_images(const void *a, const void *b)
{
    const struct sl_image_record *x = *(struct sl_image_record *const *)a;
    const struct sl_image_record *y = *(struct sl_image_record *const *)b;
    if (x->name && y->name)
        return strcmp(x->name, y->name);
    if (x->name || y->name)
        return x->name ? -1 : 1;
    return memcmp(x->manifest.bytes, y->manifest.bytes, sl_digest_size(x->manifest.alg));
}

int sl_store_list_images(struct sl_store *store, struct sl_image_record ***ret,
                         struct sl_error *err)
{
    SL_AUTO_DONE(image_list) list = {.store = store};
    list.records = calloc(1, sizeof(struct sl_image_record *));
    if (!list.records)
        return sl_error_oom(err);
    int r = sl_ref_each(store, add_named, &list, err);
    if (r == 0)
        r = sl_store_each_digest(store, "images", ".json", add_nameless, &list, err);
    if (r < 0)
        return r;
    qsort(list.records, list.n, sizeof(struct sl_image_record *), compare_images);
    *ret = list.records;
    list = (struct image_list){0};
    return 0;
}

/* ---- remove ---- */

struct removal {
    const struct sl_store *store;
    struct sl_digest manifest;
    const char *only_name; /* NULL: all names */
    size_t n_names;        /* of the image */
};

static int count_name(void *arg, const char *path, const char *name,
                      const struct sl_digest *manifest, struct sl_error *err)
{
    (void)path;
    (void)name;
    (void)err;
    struct removal *rm = arg;
    rm->n_names += sl_digest_is_equal(manifest, &rm->manifest);
    return 0;
}

static int refuse_if_mounted(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    const struct removal *rm = arg;
    bool is_ours = sl_digest_is_equal(&mount->record->manifest, &rm->manifest);
    if (!is_ours || mount->state == SL_MOUNT_DEAD)
        return 0;
    return sl_error_set(err, SL_E_SYSTEM, EBUSY,
                        "the image is mounted at %s (unmount it, or force)", mount->record->target);
}

static int unlink_at(const struct sl_store *store, const char *path, struct sl_error *err)
{
    if (unlinkat(store->fd, path, 0) == 0 || errno == ENOENT)
        return 0;
    return sl_error_system(err, errno, "removing %s/%s", store->root, path);
}

static int remove_name(void *arg, const char *path, const char *name,
                       const struct sl_digest *manifest, struct sl_error *err)
{
    const struct removal *rm = arg;
    if (rm->only_name ? strcmp(name, rm->only_name) != 0
                      : !sl_digest_is_equal(manifest, &rm->manifest))
        return 0;
    return unlink_at(rm->store, path, err);
}

int sl_store_remove_image(struct sl_store *store, const char *name_or_digest, bool force,
                          struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    struct removal rm = {.store = store};
    bool by_name = false;
    int r = sl_store_lock(store, LOCK_EX, &lock, err);
    if (r == 0)
        r = resolve(store, name_or_digest, &rm.manifest, &by_name, err);
    if (r == 0)
        r = sl_ref_each(store, count_name, &rm, err);
    if (r < 0)
        return r;
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "images", &rm.manifest, ".json");
    rm.only_name = by_name ? name_or_digest : NULL;
    if (!force && (!by_name || rm.n_names == 1))
        r = sl_mount_each(store, refuse_if_mounted, &rm, err);
    if (r == 0 && !by_name && rm.n_names == 0 && sl_store_has(store, path, NULL) == 0)
        r = sl_error_set(err, SL_E_SYSTEM, ENOENT, "no image %s in the store %s", name_or_digest,
                         store->root);
    if (r == 0)
        r = sl_ref_each(store, remove_name, &rm, err);
    if (r == 0 && !by_name)
        r = unlink_at(store, path, err);
    return r;
}
