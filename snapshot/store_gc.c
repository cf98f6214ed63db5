/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mark and sweep. All marks are read before anything is removed, so a record that cannot be read
 * stops gc before it did harm. Under the exclusive lock objects are only unlinked or moved to
 * staging/; trees are deleted after it, when pulls go on.
 */
#include "mount_store.h"
#include "remove_tree.h"
#include "staging.h"
#include "store_refs.h"
#include "tree_usage.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOB_RECORD_MAX = 4096 }; /* bytes */

struct digest_set {
    struct sl_digest *items;
    size_t n;
};

struct gc {
    struct sl_store *store;
    bool dry_run;
    struct digest_set images;    /* that stay */
    struct digest_set layers;    /* that stay for an image or a mount */
    struct digest_set discarded; /* layers that go */
    unsigned n_dead_mounts;
    char (*trees)[SL_STORE_PATH_MAX]; /* where the discarded layers are now, in no order */
    struct sl_gc_result result;
};

static int compare_digests(const void *a, const void *b)
{
    const struct sl_digest *x = a;
    const struct sl_digest *y = b;
    if (x->alg != y->alg)
        return x->alg < y->alg ? -1 : 1;
    return memcmp(x->bytes, y->bytes, sl_digest_size(x->alg));
}

static int set_add(struct digest_set *set, const struct sl_digest *digest, struct sl_error *err)
{
    if ((set->n & (set->n - 1)) == 0) {
        size_t cap = set->n ? 2 * set->n : 1;
        struct sl_digest *more = realloc(set->items, cap * sizeof(*more));
        if (!more)
            return sl_error_oom(err);
        set->items = more;
    }
    set->items[set->n++] = *digest;
    return 0;
}

static void set_sort(struct digest_set *set)
{
    if (set->n > 0)
        qsort(set->items, set->n, sizeof(*set->items), compare_digests);
}

/* Of a sorted set. */
static bool set_has(const struct digest_set *set, const struct sl_digest *digest)
{
    return set->n > 0 && bsearch(digest, set->items, set->n, sizeof(*set->items), compare_digests);
}

static void gc_done(struct gc *gc)
{
    free(gc->images.items);
    free(gc->layers.items);
    free(gc->discarded.items);
    free(gc->trees);
}
SL_DEFINE_AUTO_DONE(gc, gc_done)

/* ---- marks ---- */

static int mark_layers(struct gc *gc, const struct sl_digest *diff_ids, size_t n,
                       struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        r = set_add(&gc->layers, &diff_ids[i], err);
    return r;
}

static int mark_mount(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    struct gc *gc = arg;
    int r = sl_mount_lock_dead(mount, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = set_add(&gc->images, &mount->record->manifest, err);
    return r < 0 ? r : mark_layers(gc, mount->record->diff_ids, mount->record->n_layers, err);
}

static int mark_ref(void *arg, const char *path, const char *name, const struct sl_digest *manifest,
                    struct sl_error *err)
{
    (void)path;
    (void)name;
    struct gc *gc = arg;
    return set_add(&gc->images, manifest, err);
}

static int mark_image(void *arg, const struct sl_digest *manifest, struct sl_error *err)
{
    struct gc *gc = arg;
    if (!set_has(&gc->images, manifest))
        return 0;
    SL_AUTO(sl_image_record) record = NULL;
    int r = sl_store_load_image(gc->store, manifest, &record, err);
    return r <= 0 ? r : mark_layers(gc, record->diff_ids, record->n_layers, err);
}

static int mark(struct gc *gc, struct sl_error *err)
{
    int r = sl_mount_each(gc->store, mark_mount, gc, err);
    if (r == 0)
        r = sl_ref_each(gc->store, mark_ref, gc, err);
    set_sort(&gc->images);
    if (r == 0)
        r = sl_store_each_digest(gc->store, "images", ".json", mark_image, gc, err);
    set_sort(&gc->layers);
    return r;
}

/* ---- sweeps ---- */

static int unlink_object(const struct gc *gc, const char *path, struct sl_error *err)
{
    if (gc->dry_run || unlinkat(gc->store->fd, path, 0) == 0 || errno == ENOENT)
        return 0;
    return sl_error_system(err, errno, "removing %s/%s", gc->store->root, path);
}

static int sweep_mount(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    struct gc *gc = arg;
    int r = sl_mount_lock_dead(mount, err);
    if (r <= 0)
        return r;
    gc->n_dead_mounts++;
    char path[SL_STORE_PATH_MAX];
    (void)snprintf(path, sizeof(path), "mounts/%s", mount->record->id);
    return gc->dry_run ? 0 : sl_staging_discard(gc->store, path, /* ret_name= */ NULL, err);
}

static int sweep_image(void *arg, const struct sl_digest *manifest, struct sl_error *err)
{
    struct gc *gc = arg;
    if (set_has(&gc->images, manifest))
        return 0;
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "images", manifest, ".json");
    gc->result.images++;
    return unlink_object(gc, path, err);
}

static int note_tree(struct gc *gc, const struct sl_digest *diff_id, const char *path,
                     struct sl_error *err)
{
    size_t n = gc->discarded.n;
    char(*more)[SL_STORE_PATH_MAX] = realloc(gc->trees, (n + 1) * sizeof(*more));
    if (!more)
        return sl_error_oom(err);
    gc->trees = more;
    (void)snprintf(gc->trees[n], sizeof(gc->trees[n]), "%s", path);
    return set_add(&gc->discarded, diff_id, err);
}

static int sweep_layer(void *arg, const struct sl_digest *diff_id, struct sl_error *err)
{
    struct gc *gc = arg;
    if (set_has(&gc->layers, diff_id))
        return 0;
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "layers", diff_id, "");
    SL_AUTO_FD fd = openat(gc->store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || sl_flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0; /* a running pull holds it */
    char id[SL_STORE_ID_MAX];
    int r = gc->dry_run ? 0 : sl_staging_discard(gc->store, path, id, err);
    if (r < 0)
        return r;
    if (!gc->dry_run)
        (void)snprintf(path, sizeof(path), "staging/%s", id);
    gc->result.layers++;
    return note_tree(gc, diff_id, path, err);
}

static int sweep_blob(void *arg, const struct sl_digest *blob, struct sl_error *err)
{
    struct gc *gc = arg;
    char path[SL_STORE_PATH_MAX];
    SL_AUTO_DONE(sl_bytes) text = {0};
    struct sl_blob_record record;
    sl_store_path(path, "blobs", blob, ".json");
    int r = sl_read_file(gc->store->fd, path, BLOB_RECORD_MAX, &text, /* err= */ NULL);
    if (r == 0)
        r = sl_blob_record_parse(sl_bytes_span(&text), blob, &record, /* err= */ NULL);
    if (r == 0)
        r = sl_store_has_layer(gc->store, &record.diff_id, err);
    bool is_kept = r > 0 && !set_has(&gc->discarded, &record.diff_id);
    if (is_kept || r == -ENOMEM)
        return r == -ENOMEM ? sl_error_oom(err) : 0;
    gc->result.blobs++;
    return unlink_object(gc, path, err);
}

/* Those who find their lock gone after they got it take a new one. */
static int sweep_lock(void *arg, const char *name, struct sl_error *err)
{
    struct gc *gc = arg;
    SL_AUTO_FREE char *path = sl_strf("locks/%s", name);
    if (!path)
        return sl_error_oom(err);
    SL_AUTO_FD fd = openat(gc->store->fd, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || sl_flock(fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    return unlink_object(gc, path, err);
}

static int decide(struct gc *gc, struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(gc->store, LOCK_EX, &lock, err);
    if (r == 0)
        r = mark(gc, err);
    if (r == 0)
        r = sl_mount_each(gc->store, sweep_mount, gc, err);
    if (r == 0)
        r = sl_store_each_digest(gc->store, "images", ".json", sweep_image, gc, err);
    if (r == 0)
        r = sl_store_each_digest(gc->store, "layers", "", sweep_layer, gc, err);
    if (r < 0)
        return r;
    set_sort(&gc->discarded);
    r = sl_store_each_digest(gc->store, "blobs", ".json", sweep_blob, gc, err);
    if (r == 0)
        r = sl_store_each_name(gc->store, "locks", sweep_lock, gc, err);
    return r;
}

/* Sizes first: a tree can only be measured while it is there. */
static int delete_trees(struct gc *gc, struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; i < gc->discarded.n && r == 0; i++) {
        gc->result.bytes += sl_tree_usage(gc->store->fd, gc->trees[i]);
        if (!gc->dry_run)
            r = sl_remove_tree(gc->store->fd, gc->trees[i], err);
    }
    return r;
}

static int decide_layers(struct gc *gc, const struct sl_digest *diff_ids, size_t n,
                         struct sl_error *err)
{
    SL_AUTO_FD lock = -1;
    int r = sl_store_lock(gc->store, LOCK_EX, &lock, err);
    if (r == 0)
        r = mark(gc, err);
    for (size_t i = 0; i < n && r == 0; i++)
        r = sweep_layer(gc, &diff_ids[i], err);
    set_sort(&gc->discarded);
    return r < 0 ? r : sl_store_each_digest(gc->store, "blobs", ".json", sweep_blob, gc, err);
}

int sl_store_drop_layers(struct sl_store *store, const struct sl_digest *diff_ids, size_t n,
                         struct sl_error *err)
{
    SL_AUTO_DONE(gc) gc = {.store = store};
    int r = decide_layers(&gc, diff_ids, n, err);
    return r < 0 ? r : delete_trees(&gc, err);
}

int sl_store_gc(struct sl_store *store, bool dry_run, struct sl_gc_result *ret,
                struct sl_error *err)
{
    SL_AUTO_DONE(gc) gc = {.store = store, .dry_run = dry_run};
    int r = decide(&gc, err);
    if (r == 0)
        r = delete_trees(&gc, err);
    if (r == 0)
        r = sl_staging_sweep(store, dry_run, &gc.result.staging, err);
    if (r < 0)
        return r;
    if (dry_run)
        gc.result.staging += gc.n_dead_mounts;
    *ret = gc.result;
    return 0;
}
