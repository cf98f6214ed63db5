/* SPDX-License-Identifier: Apache-2.0 */
#include "mount_store.h"

#include "remove_tree.h"
#include "staging.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

enum { MOUNT_RECORD_MAX = 1024 * 1024 }; /* bytes: 500 digests and a path are far below */

struct mount_walk {
    const struct sl_store *store;
    struct sl_mount_table here;
    struct sl_mount_origin origin_here;
    sl_stored_mount_fn fn;
    void *arg;
};

/* What was moved, or has something over it, is elsewhere. */
static bool is_in_place(const struct mount_walk *walk, const struct sl_mount_record *record)
{
    char source[SL_MOUNT_SOURCE_MAX];
    sl_mount_source(record->id, source);
    const struct sl_mounted *there = sl_mount_table_find_point(&walk->here, record->target);
    return there && there->overlay && strcmp(there->overlay, source) == 0;
}

/* 0 when it vanished. What its state is, is not looked for. */
static int read_record(const struct mount_walk *walk, const char *id, struct sl_stored_mount *mount,
                       struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    char path[SL_STORE_PATH_MAX];
    int n = snprintf(path, sizeof(path), "mounts/%s", id);
    if (n < 0 || (size_t)n >= sizeof(path))
        return 0; /* not a name of ours */
    mount->fd = openat(walk->store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (mount->fd < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : sl_error_system(err, errno, "opening %s/%s", walk->store->root, path);
    int r = sl_read_file(mount->fd, "mount.json", MOUNT_RECORD_MAX, &text, err);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = sl_mount_record_parse(sl_bytes_span(&text), id, &mount->record, &mount->origin, err);
    if (r < 0)
        return sl_error_wrap(err, r,
                             "%s/%s/mount.json is damaged (unmount what it was, then remove its "
                             "directory)",
                             walk->store->root, path);
    mount->record->in_place = is_in_place(walk, mount->record);
    return 1;
}

/* 0 when it vanished. */
static int load(const struct mount_walk *walk, const char *id, struct sl_stored_mount *mount,
                struct sl_error *err)
{
    int r = read_record(walk, id, mount, err);
    if (r <= 0)
        return r;
    r = sl_mount_state_find(id, &mount->origin, &walk->here, &walk->origin_here, &mount->state,
                            err);
    mount->record->alive = mount->state == SL_MOUNT_ALIVE;
    return r < 0 ? r : 1;
}

static int visit(void *arg, const char *id, struct sl_error *err)
{
    const struct mount_walk *walk = arg;
    struct sl_stored_mount mount = {.fd = -1};
    int r = load(walk, id, &mount, err);
    if (r > 0)
        r = walk->fn(walk->arg, &mount, err);
    sl_cleanup_fdp(&mount.fd);
    (void)sl_mount_record_free(mount.record);
    return r;
}

int sl_mount_each(const struct sl_store *store, sl_stored_mount_fn fn, void *arg,
                  struct sl_error *err)
{
    struct mount_walk walk = {.store = store, .fn = fn, .arg = arg};
    int r = sl_mount_origin_here(&walk.origin_here, err);
    if (r == 0)
        r = sl_mount_table_load("thread-self", &walk.here, err);
    if (r == 0) {
        sl_store_step(store, "mounts-read");
        r = sl_store_each_name(store, "mounts", visit, &walk, err);
    }
    sl_mount_table_done(&walk.here);
    return r;
}

/* The state is older than the lock: it may have come to life in between. */
int sl_mount_lock_dead(struct sl_stored_mount *mount, struct sl_error *err)
{
    SL_AUTO_DONE(sl_mount_table) here = {0};
    struct sl_mount_origin origin_here;
    if (mount->state != SL_MOUNT_DEAD || sl_flock(mount->fd, LOCK_EX | LOCK_NB) < 0)
        return 0;
    int r = sl_mount_origin_here(&origin_here, err);
    if (r == 0)
        r = sl_mount_table_load("thread-self", &here, err);
    if (r == 0)
        r = sl_mount_state_find(mount->record->id, &mount->origin, &here, &origin_here,
                                &mount->state, err);
    return r < 0 ? r : mount->state == SL_MOUNT_DEAD;
}

int sl_mount_discard(const struct sl_store *store, const char *id, struct sl_error *err)
{
    char from[SL_STORE_PATH_MAX];
    char to[SL_STORE_ID_MAX];
    (void)snprintf(from, sizeof(from), "mounts/%s", id);
    int r = sl_staging_discard(store, from, to, err);
    if (r < 0)
        return r;
    (void)snprintf(from, sizeof(from), "staging/%s", to);
    return sl_remove_tree(store->fd, from, err);
}

/* ---- listing ---- */

struct mount_list {
    struct sl_mount_record **records;
    size_t n;
};

static void mount_list_done(struct mount_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        (void)sl_mount_record_free(list->records[i]);
    free(list->records);
}
SL_DEFINE_AUTO_DONE(mount_list, mount_list_done)

static int collect(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    struct mount_list *list = arg;
    /* One more for the NULL at the end. */
    struct sl_mount_record **more =
        realloc(list->records, (list->n + 2) * sizeof(struct sl_mount_record *));
    if (!more)
        return sl_error_oom(err);
    list->records = more;
    list->records[list->n++] = sl_steal(&mount->record);
    list->records[list->n] = NULL;
    return 0;
}

int sl_store_list_mounts(struct sl_store *store, struct sl_mount_record ***ret,
                         struct sl_error *err)
{
    SL_AUTO_DONE(mount_list) list = {0};
    list.records = calloc(1, sizeof(struct sl_mount_record *));
    if (!list.records)
        return sl_error_oom(err);
    int r = sl_mount_each(store, collect, &list, err);
    if (r < 0)
        return r;
    *ret = list.records;
    list = (struct mount_list){0};
    return 0;
}

static bool is_at_or_above(const char *point, const char *path)
{
    size_t n = strlen(point);
    return strncmp(point, path, n) == 0 && (path[n] == '/' || !path[n]);
}

/* One that the table shows, and which is alive therefore. */
static int collect_shown(const struct mount_walk *walk, const char *id, struct mount_list *list,
                         struct sl_error *err)
{
    struct sl_stored_mount mount = {.fd = -1, .state = SL_MOUNT_ALIVE};
    int r = read_record(walk, id, &mount, err);
    if (r > 0) {
        mount.record->alive = true;
        r = collect(list, &mount, err);
    }
    sl_cleanup_fdp(&mount.fd);
    (void)sl_mount_record_free(mount.record);
    return r;
}

static int collect_above(const struct mount_walk *walk, const char *path, struct mount_list *list,
                         struct sl_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < walk->here.n; i++) {
        const struct sl_mounted *m = &walk->here.mounts[i];
        const char *id = m->overlay ? sl_mount_source_id(m->overlay) : NULL;
        if (id && is_at_or_above(m->point, path))
            r = collect_shown(walk, id, list, err);
    }
    return r;
}

int sl_store_list_mounts_above(struct sl_store *store, const char *path,
                               struct sl_mount_record ***ret, struct sl_error *err)
{
    SL_AUTO_DONE(mount_list) list = {0};
    struct mount_walk walk = {.store = store};
    list.records = calloc(1, sizeof(struct sl_mount_record *));
    if (!list.records)
        return sl_error_oom(err);
    int r = sl_mount_table_load("thread-self", &walk.here, err);
    if (r == 0)
        r = collect_above(&walk, path, &list, err);
    sl_mount_table_done(&walk.here);
    if (r < 0)
        return r;
    *ret = list.records;
    list = (struct mount_list){0};
    return 0;
}

/* ---- unmounting ---- */

struct unmount {
    const struct sl_store *store;
    const char *target;
    const char *overlay; /* what is mounted there now, or NULL */
    bool is_found;
};

/* The lock waits for a mount in progress, and keeps gc and other unmounts away. */
static int release(const struct sl_store *store, struct sl_stored_mount *mount, bool is_mounted,
                   struct sl_error *err)
{
    int r = sl_flock(mount->fd, LOCK_EX);
    if (r < 0)
        return sl_error_system(err, -r, "locking mounts/%s", mount->record->id);
    if (is_mounted && umount2(mount->record->target, UMOUNT_NOFOLLOW) < 0)
        return sl_error_system(err, errno, "unmounting %s%s", mount->record->target,
                               errno == EBUSY ? " (something still uses it)" : "");
    SL_AUTO_DONE(sl_mount_table) table = {0};
    char source[SL_MOUNT_SOURCE_MAX];
    sl_mount_source(mount->record->id, source);
    r = sl_mount_table_load("thread-self", &table, err);
    /* Bound to other places too: then the upper directory is in use until gc finds it is not. */
    if (r < 0 || sl_mount_table_find_overlay(&table, source))
        return r;
    return sl_mount_discard(store, mount->record->id, err);
}

static int unmount_if_there(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    struct unmount *unmount = arg;
    char source[SL_MOUNT_SOURCE_MAX];
    sl_mount_source(mount->record->id, source);
    bool is_mounted = unmount->overlay && strcmp(unmount->overlay, source) == 0;
    bool is_left_over = mount->state == SL_MOUNT_DEAD && !unmount->overlay &&
                        strcmp(mount->record->target, unmount->target) == 0;
    if (!is_mounted && !is_left_over)
        return 0;
    unmount->is_found = true;
    return release(unmount->store, mount, is_mounted, err);
}

int sl_store_unmount(struct sl_store *store, const char *target, struct sl_error *err)
{
    SL_AUTO_FREE char *path = realpath(target, NULL);
    if (!path)
        return sl_error_system(err, errno, "unmounting %s", target);
    SL_AUTO_DONE(sl_mount_table) table = {0};
    int r = sl_mount_table_load("thread-self", &table, err);
    if (r < 0)
        return r;
    const struct sl_mounted *mounted = sl_mount_table_find_point(&table, path);
    struct unmount unmount = {store, path, mounted ? mounted->overlay : NULL, false};
    r = sl_mount_each(store, unmount_if_there, &unmount, err);
    if (r == 0 && !unmount.is_found)
        r = sl_error_set(err, SL_E_SYSTEM, ENOENT, "nothing of the store %s is mounted at %s",
                         store->root, path);
    return r;
}

/* ---- what is left of mounts that somebody else has ended ---- */

struct forget {
    const struct sl_store *store;
    unsigned n;
};

static int forget_if_dead(void *arg, struct sl_stored_mount *mount, struct sl_error *err)
{
    struct forget *forget = arg;
    int r = sl_mount_lock_dead(mount, err);
    if (r <= 0)
        return r;
    r = sl_mount_discard(forget->store, mount->record->id, err);
    forget->n += r == 0;
    return r;
}

int sl_store_forget_dead_mounts(struct sl_store *store, unsigned *ret, struct sl_error *err)
{
    struct forget forget = {.store = store};
    int r = sl_mount_each(store, forget_if_dead, &forget, err);
    if (r == 0)
        *ret = forget.n;
    return r;
}
