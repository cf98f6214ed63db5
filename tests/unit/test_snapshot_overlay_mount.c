/* SPDX-License-Identifier: Apache-2.0 */
/* Needs root; works in a mount namespace of its own, so that nothing outlives it. */
#include "own_mounts.h"
#include "store_fixture.h"

#include "sluice/overlay_mount.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>

/* Where the stores of the running group are, and how they mount. */
static struct {
    const char *base;
    bool no_lowerdir_plus;
} world;

struct mounted {
    struct store_fixture *f;
    char target[512];
    int root; /* of the mount */
};

static void mount_image(struct mounted *m, struct store_fixture *f, const unsigned *layers,
                        size_t n)
{
    SL_AUTO(sl_image_record) image = new_image(1, "image", layers, n);
    const struct sl_mount_options options = {.no_lowerdir_plus = world.no_lowerdir_plus};
    *m = (struct mounted){.f = f};
    (void)snprintf(m->target, sizeof(m->target), "%s/bundle/rootfs", f->dir);
    assert_ok(sl_store_mount(f->store, image, m->target, &options, ok_err));
    m->root = open(m->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(m->root >= 0);
}
#define MOUNT(m, f, ...)                                                                           \
    mount_image(m, f, (const unsigned[]){__VA_ARGS__},                                             \
                sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static void unmount_image(struct mounted *m)
{
    close(m->root);
    assert_ok(sl_store_unmount(m->f->store, m->target, ok_err));
    assert_int_equal(count_names(m->f->store, "mounts"), 0);
    assert_int_equal(count_names(m->f->store, "staging"), 0);
}

static int set_up(void **state)
{
    *state = fixture_new(world.base, "store");
    return 0;
}

/* A test that failed may have left its mount. */
static int tear_down(void **state)
{
    const struct store_fixture *f = *state;
    char target[512];
    (void)snprintf(target, sizeof(target), "%s/bundle/rootfs", f->dir);
    while (umount2(target, MNT_DETACH) == 0)
        continue;
    fixture_free(*state);
    return 0;
}

/* ---- what is visible ---- */

/* Else both halves of these tests might run by the same calls. */
static void mount_is_made_as_asked(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    SL_AUTO_DONE(sl_bytes) info = {0};
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    MOUNT(&m, f, 1);
    assert_ok(sl_read_file(AT_FDCWD, "/proc/thread-self/mountinfo", 1 << 20, &info, ok_err));
    /* Its own line: the root of a container is an overlay too. */
    char *line = strstr((char *)info.data, m.target);
    assert_non_null(line);
    line[strcspn(line, "\n")] = '\0';
    const char *wanted = world.no_lowerdir_plus ? "lowerdir=0," : "lowerdir+=layers/sha256/aa";
    const char *other = world.no_lowerdir_plus ? "lowerdir+=" : "lowerdir=";
    assert_non_null(strstr(line, wanted));
    assert_null(strstr(line, other));
    unmount_image(&m);
}

static void layers_merge_topmost_first(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "low", 0}, {'f', "gone", 0}, {'d', "dir", 0}, {'f', "dir/a", 0},
              {'d', "cut", 0}, {'f', "cut/a", 0});
    PUT_LAYER(f->store, 2, {'w', "gone", 0}, {'d', "dir", 0}, {'f', "dir/b", 0}, {'o', "cut", 0},
              {'f', "cut/b", 0});
    MOUNT(&m, f, 1, 2);
    assert_text(m.root, "low", "low");
    assert_false(is_there(m.root, "gone"));
    assert_true(is_there(m.root, "dir/a"));
    assert_true(is_there(m.root, "dir/b"));
    assert_false(is_there(m.root, "cut/a"));
    assert_true(is_there(m.root, "cut/b"));
    put_file(m.root, "low", "written");
    assert_text(m.root, "low", "written");
    unmount_image(&m);
    char path[SL_STORE_PATH_MAX];
    struct sl_digest low = layer_id(1);
    sl_store_path(path, "layers", &low, "/fs/low");
    assert_text(f->store->fd, path, "low");
}

/* A, whiteout of A, A again: A is there. And A, A, whiteout: it is not. */
static void layer_twice_counts_where_it_comes_last(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "a", 0}, {'d', "dir", 0}, {'f', "dir/a", 0});
    PUT_LAYER(f->store, 2, {'w', "a", 0}, {'o', "dir", 0}, {'f', "dir/b", 0});
    MOUNT(&m, f, 1, 2, 1);
    assert_text(m.root, "a", "a");
    assert_true(is_there(m.root, "dir/a"));
    assert_true(is_there(m.root, "dir/b"));
    unmount_image(&m);
    MOUNT(&m, f, 1, 1, 2);
    assert_false(is_there(m.root, "a"));
    assert_false(is_there(m.root, "dir/a"));
    assert_true(is_there(m.root, "dir/b"));
    unmount_image(&m);
}

static void opaque_root_hides_all_below(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "low", 0});
    PUT_LAYER(f->store, 2, {'o', "", 0}, {'f', "middle", 0});
    PUT_LAYER(f->store, 3, {'f', "top", 0});
    MOUNT(&m, f, 1, 2, 3);
    assert_false(is_there(m.root, "low"));
    assert_true(is_there(m.root, "middle"));
    assert_true(is_there(m.root, "top"));
    unmount_image(&m);
}

static void image_without_layers_is_an_empty_directory(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    struct stat st;
    mount_image(&m, f, NULL, 0);
    assert_int_equal(fstat(m.root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(st.st_mtim.tv_sec, 0);
    put_file(m.root, "file", "text");
    assert_text(m.root, "file", "text");
    unmount_image(&m);
}

static void many_layers(struct store_fixture *f, unsigned n)
{
    struct mounted m;
    unsigned layers[500] = {0};
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "f%u", i);
        PUT_LAYER(f->store, i, {'f', name, 0}, {'d', "dir", 0700 + i % 64});
        layers[i] = i;
    }
    mount_image(&m, f, layers, n);
    for (unsigned i = 0; i < n; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "f%u", i);
        assert_text(m.root, name, name);
    }
    struct stat st;
    assert_int_equal(fstatat(m.root, "dir", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700 + (n - 1) % 64);
    unmount_image(&m);
}

static void layers_130_are_mounted(void **state)
{
    many_layers(*state, 130);
}

static void layers_500_are_mounted_and_501_refused(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    unsigned layers[502];
    many_layers(f, 500);
    PUT_LAYER(f->store, 500, {'f', "one too many", 0});
    for (unsigned i = 0; i < 501; i++)
        layers[i] = i;
    SL_AUTO(sl_image_record) image = new_image(1, "image", layers, 501);
    assert_int_equal(sl_store_mount(f->store, image, "/tmp/sl-never/made", NULL, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_false(is_there(AT_FDCWD, "/tmp/sl-never"));
    struct mounted m;
    layers[500] = 0; /* 501 in name, 500 in fact */
    mount_image(&m, f, layers, 501);
    unmount_image(&m);
}

static void root_names_may_be_odd(void **state)
{
    (void)state;
    char part[200];
    char name[1024];
    memset(part, 'x', 199);
    part[199] = '\0';
    (void)snprintf(name, sizeof(name), "a,b:c d\\e=f\n/%s/%s/%s", part, part, part);
    struct store_fixture *f = fixture_new(world.base, name);
    struct mounted m;
    assert_true(strlen(f->root) > 600);
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    PUT_LAYER(f->store, 2, {'f', "b", 0});
    MOUNT(&m, f, 1, 2);
    assert_text(m.root, "a", "a");
    assert_text(m.root, "b", "b");
    unmount_image(&m);
    fixture_free(f);
}

/* ---- directories nobody described ---- */

static const struct timespec old_time[2] = {{1000000000, 123456789}, {1100000000, 987654321}};

/* A layer whose directories `dir` and, when given, `dir/sub` have attributes worth keeping. */
static void put_described(struct store_fixture *f, unsigned n)
{
    SL_AUTO(sl_staged_layer) staged = NULL;
    assert_ok(sl_staged_layer_new(f->store, &staged, ok_err));
    put_entry(staged, &(struct entry){'d', "dir", 0});
    put_entry(staged, &(struct entry){'d', "dir/sub", 0});
    int fs = sl_staged_layer_fd(staged);
    static const char *const names[] = {"dir/sub", "dir", "."};
    for (unsigned i = 0; i < 3; i++) {
        SL_AUTO_FD fd = openat(fs, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(fchown(fd, 1000 + i, 2000 + i), 0);
        assert_int_equal(fchmod(fd, 02750 + i), 0);
        assert_int_equal(fsetxattr(fd, "security.test", "kept", 4, 0), 0);
        assert_int_equal(futimens(fd, old_time), 0);
    }
    assert_ok(commit_as(staged, n, n, ok_err));
}

static void assert_kept(int root, const char *name, unsigned i)
{
    struct stat st;
    char value[8];
    SL_AUTO_FD fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, 1000 + i);
    assert_int_equal(st.st_gid, 2000 + i);
    assert_int_equal(st.st_mode & 07777, 02750 + i);
    assert_int_equal(st.st_mtim.tv_sec, old_time[1].tv_sec);
    assert_int_equal(st.st_mtim.tv_nsec, old_time[1].tv_nsec);
    assert_int_equal(fgetxattr(fd, "security.test", value, sizeof(value)), 4);
    assert_true(fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) < 0);
}

static void assert_default(int root, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(root, name, &st, 0), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_mode & 07777, 0755);
}

static void implicit_directory_looks_as_described_below(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    put_described(f, 1);
    PUT_LAYER(f->store, 2, {'i', "", 0}, {'i', "dir", 0}, {'i', "dir/sub", 0},
              {'f', "dir/sub/new", 0});
    PUT_LAYER(f->store, 3, {'i', "", 0}, {'f', "other", 0});
    MOUNT(&m, f, 1, 2, 3);
    assert_kept(m.root, "dir/sub", 0);
    assert_kept(m.root, "dir", 1);
    assert_kept(m.root, ".", 2);
    assert_true(is_there(m.root, "dir/sub/new"));
    unmount_image(&m);
}

/* The parent is described on top, but a directory in upper/ hides that too. */
static void parents_of_implicit_directories_keep_their_own_attributes(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    struct stat st;
    put_described(f, 1);
    PUT_LAYER(f->store, 2, {'d', "dir", 0711}, {'i', "dir/sub", 0}, {'f', "dir/sub/new", 0});
    MOUNT(&m, f, 1, 2);
    assert_kept(m.root, "dir/sub", 0);
    assert_int_equal(fstatat(m.root, "dir", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    assert_int_equal(st.st_uid, 0);
    unmount_image(&m);
}

static void described_directory_above_wins(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 2, {'i', "dir", 0}, {'i', "dir/sub", 0});
    put_described(f, 1);
    MOUNT(&m, f, 2, 1);
    assert_kept(m.root, "dir/sub", 0);
    unmount_image(&m);
}

static void cut_between_stops_the_search(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    put_described(f, 1);
    PUT_LAYER(f->store, 2, {'w', "dir", 0});
    PUT_LAYER(f->store, 3, {'f', "dir", 0});
    PUT_LAYER(f->store, 4, {'o', "dir", 0700});
    PUT_LAYER(f->store, 5, {'l', "dir", 0});
    PUT_LAYER(f->store, 6, {'O', "dir", 0}, {'i', "dir/sub", 0});
    PUT_LAYER(f->store, 7, {'i', "dir", 0}, {'i', "dir/sub", 0}, {'f', "dir/sub/x", 0});
    const unsigned cuts[] = {2, 3, 5};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        MOUNT(&m, f, 1, cuts[i], 7);
        assert_default(m.root, "dir");
        assert_default(m.root, "dir/sub");
        unmount_image(&m);
    }
    /* Opaque and described: it is the source of dir itself, and the end for dir/sub. */
    struct stat st;
    MOUNT(&m, f, 1, 4, 7);
    assert_int_equal(fstatat(m.root, "dir", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_default(m.root, "dir/sub");
    unmount_image(&m);
    /* Opaque and not described: emptied, but the same directory still. */
    MOUNT(&m, f, 1, 6, 7);
    assert_kept(m.root, "dir", 1);
    assert_default(m.root, "dir/sub");
    unmount_image(&m);
}

static unsigned count_listed(int root, const char *path)
{
    unsigned n = 0;
    int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    DIR *dir = fdopendir(fd);
    assert_non_null(dir);
    for (const struct dirent *d; (d = readdir(dir));)
        n += d->d_name[0] != '.';
    assert_int_equal(closedir(dir), 0);
    return n;
}

/* Overlayfs lists what is in the only copy of a directory, whiteouts too. */
static void whiteouts_in_directory_of_one_layer_are_not_listed(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    struct stat st;
    PUT_LAYER(f->store, 1, {'d', "cut", 0}, {'f', "cut/x", 0});
    PUT_LAYER(f->store, 2, {'w', "cut", 0}, {'d', "new", 0}, {'i', "new/sub", 0},
              {'w', "new/sub/y", 0}, {'f', "new/sub/z", 0});
    PUT_LAYER(f->store, 3, {'d', "cut", 0711}, {'w', "cut/x", 0});
    MOUNT(&m, f, 1, 2, 3);
    assert_int_equal(count_listed(m.root, "cut"), 0);
    assert_int_equal(count_listed(m.root, "new/sub"), 1);
    assert_int_equal(fstatat(m.root, "cut", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
    unmount_image(&m);
}

static void implicit_directory_hidden_above_stays_hidden(void **state)
{
    struct mounted m;
    struct store_fixture *f = *state;
    put_described(f, 1);
    PUT_LAYER(f->store, 2, {'i', "dir", 0}, {'f', "dir/x", 0});
    PUT_LAYER(f->store, 3, {'w', "dir", 0});
    MOUNT(&m, f, 1, 2, 3);
    assert_false(is_there(m.root, "dir"));
    unmount_image(&m);
}

/* ---- targets ---- */

static void unusable_targets_are_refused(void **state)
{
    struct store_fixture *f = *state;
    struct mounted m;
    struct sl_error err = {.code = SL_OK};
    char path[512];
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "image", 1);
    MOUNT(&m, f, 1);
    assert_int_equal(sl_store_mount(f->store, image, m.target, NULL, &err), -EBUSY);
    assert_int_equal(err.code, SL_E_SYSTEM);
    (void)snprintf(path, sizeof(path), "%s/bundle", f->dir);
    assert_int_equal(sl_store_mount(f->store, image, path, NULL, &err), -ENOTEMPTY);
    (void)snprintf(path, sizeof(path), "%s/store/lock", f->dir);
    assert_int_equal(sl_store_mount(f->store, image, path, NULL, &err), -ENOTDIR);
    (void)snprintf(path, sizeof(path), "%s/bundle", f->dir);
    assert_int_equal(sl_store_unmount(f->store, path, &err), -ENOENT);
    assert_int_equal(count_names(f->store, "mounts"), 1);
    unmount_image(&m);
}

static void failed_mount_leaves_nothing(void **state)
{
    struct store_fixture *f = *state;
    struct sl_error err = {.code = SL_OK};
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/a/b//c/", f->dir);
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "image", 1);
    assert_int_equal(sl_store_mount(f->store, image, path, NULL, &err), -ENOENT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    (void)snprintf(path, sizeof(path), "%s/a", f->dir);
    assert_false(is_there(AT_FDCWD, path));
    assert_int_equal(count_names(f->store, "mounts"), 0);
    assert_int_equal(count_names(f->store, "staging"), 0);
}

static void read_only_mount_takes_no_writes(void **state)
{
    struct store_fixture *f = *state;
    char path[512];
    const struct sl_mount_options options = {.read_only = true,
                                             .no_lowerdir_plus = world.no_lowerdir_plus};
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "image", 1);
    (void)snprintf(path, sizeof(path), "%s/ro", f->dir);
    assert_ok(sl_store_mount(f->store, image, path, &options, ok_err));
    (void)snprintf(path, sizeof(path), "%s/ro/new", f->dir);
    assert_int_equal(mkdir(path, 0700), -1);
    assert_int_equal(errno, EROFS);
    (void)snprintf(path, sizeof(path), "%s/ro", f->dir);
    assert_ok(sl_store_unmount(f->store, path, ok_err));
}

/* ---- life and death ---- */

static struct sl_gc_result gc(struct sl_store *store)
{
    struct sl_gc_result result = {0};
    assert_ok(sl_store_gc(store, false, &result, ok_err));
    return result;
}

static void mounted_image_is_kept_until_unmounted(void **state)
{
    struct store_fixture *f = *state;
    struct mounted m;
    struct sl_error err = {.code = SL_OK};
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "image", 1);
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    MOUNT(&m, f, 1);
    struct sl_mount_record **mounts = NULL;
    assert_ok(sl_store_list_mounts(f->store, &mounts, ok_err));
    assert_string_equal(mounts[0]->target, m.target);
    assert_true(mounts[0]->alive);
    assert_int_equal(mounts[0]->n_layers, 1);
    assert_null(mounts[1]);
    (void)sl_mount_record_free(mounts[0]);
    free(mounts);
    assert_int_equal(sl_store_remove_image(f->store, "image", false, &err), -EBUSY);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_ok(sl_store_remove_image(f->store, "image", true, ok_err));
    struct sl_gc_result result = gc(f->store);
    assert_int_equal(result.layers + result.images + result.staging, 0);
    assert_text(m.root, "a", "a");
    unmount_image(&m);
    result = gc(f->store);
    assert_int_equal(result.layers, 1);
    assert_int_equal(result.images, 1);
}

static unsigned count_above(struct store_fixture *f, const char *path, const char *target)
{
    struct sl_mount_record **mounts = NULL;
    unsigned n = 0;
    assert_ok(sl_store_list_mounts_above(f->store, path, &mounts, ok_err));
    for (size_t i = 0; mounts[i]; i++) {
        n += mounts[i]->in_place && mounts[i]->alive && !strcmp(mounts[i]->target, target);
        (void)sl_mount_record_free(mounts[i]);
    }
    free(mounts);
    return n;
}

/* Records of others are not even read. */
static void mounts_above_a_place_are_found(void **state)
{
    struct store_fixture *f = *state;
    struct mounted m;
    char below[512], beside[512], other[512];
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    MOUNT(&m, f, 1);
    (void)snprintf(below, sizeof(below), "%s/some/where", m.target);
    (void)snprintf(beside, sizeof(beside), "%s-2", m.target);
    (void)snprintf(other, sizeof(other), "%s/other", f->dir);
    assert_int_equal(mkdirat(f->store->fd, "mounts/damaged", 0700), 0);
    close(openat(f->store->fd, "mounts/damaged/mount.json", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(count_above(f, m.target, m.target), 1);
    assert_int_equal(count_above(f, below, m.target), 1);
    assert_int_equal(count_above(f, beside, m.target), 0);
    assert_int_equal(count_above(f, f->dir, m.target), 0);
    assert_int_equal(unlinkat(f->store->fd, "mounts/damaged/mount.json", 0), 0);
    assert_int_equal(unlinkat(f->store->fd, "mounts/damaged", AT_REMOVEDIR), 0);
    /* What is bound elsewhere and covered here is in place nowhere. */
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(mount(m.target, other, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount("x", m.target, "tmpfs", 0, NULL), 0);
    assert_int_equal(count_above(f, other, m.target) + count_above(f, below, m.target), 0);
    assert_int_equal(umount(m.target), 0);
    assert_int_equal(umount(other), 0);
    assert_int_equal(count_above(f, below, m.target), 1);
    unmount_image(&m);
    assert_int_equal(count_above(f, below, m.target), 0);
}

static void mount_ended_by_others_is_collected(void **state)
{
    struct store_fixture *f = *state;
    struct mounted m;
    char bound[512];
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    MOUNT(&m, f, 1);
    close(m.root);
    (void)snprintf(bound, sizeof(bound), "%s/bound", f->dir);
    assert_int_equal(mkdir(bound, 0700), 0);
    assert_int_equal(mount(m.target, bound, NULL, MS_BIND, NULL), 0);
    assert_int_equal(umount(m.target), 0);
    assert_int_equal(gc(f->store).staging, 0); /* lives on elsewhere */
    assert_int_equal(count_names(f->store, "mounts"), 1);
    assert_int_equal(umount(bound), 0);
    struct sl_gc_result result = gc(f->store);
    assert_int_equal(result.staging, 1);
    assert_int_equal(result.layers, 1);
    assert_int_equal(count_names(f->store, "mounts"), 0);
}

static void mount_of_another_namespace_is_spared(void **state)
{
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    int ready[2];
    int done[2];
    char c = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct mounted m;
        close(done[1]);
        if (unshare(CLONE_NEWNS) < 0)
            _exit(1);
        fixture_reopen(f);
        MOUNT(&m, f, 1);
        close(m.root);
        _exit(write(ready[1], &c, 1) != 1 || read(done[0], &c, 1) != 0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(gc(f->store).staging, 0);
    assert_int_equal(count_names(f->store, "mounts"), 1);
    close(done[1]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(done[0]);
    struct stat st;
    assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
    bool sees_all = st.st_ino == 0xEFFFFFFC;
    assert_int_equal(gc(f->store).staging, sees_all ? 1 : 0);
}

/* A mount on its way, which comes to life when the tables have been read for the n-th time. */
static struct {
    char source[64];
    const char *base;
    int lock; /* of whoever mounts */
    unsigned reads_left;
} late;

static void mount_late(const char *step)
{
    char options[1024], at[512];
    if (strcmp(step, "mounts-read") != 0 || late.reads_left == 0 || --late.reads_left > 0)
        return;
    (void)snprintf(at, sizeof(at), "%s/late", late.base);
    (void)snprintf(options, sizeof(options), "lowerdir=%s/store/layers:%s/store/images", late.base,
                   late.base);
    assert_int_equal(mkdir(at, 0700), 0);
    assert_int_equal(mount(late.source, at, "overlay", 0, options), 0);
    close(late.lock);
}

static void assert_late_mount_is_spared(struct store_fixture *f, unsigned n_reads)
{
    struct mounted m;
    char path[SL_STORE_PATH_MAX], at[512];
    struct sl_mount_record **mounts = NULL;
    MOUNT(&m, f, 1);
    close(m.root);
    assert_ok(sl_store_list_mounts(f->store, &mounts, ok_err));
    (void)snprintf(late.source, sizeof(late.source), "sluice-%s", mounts[0]->id);
    (void)snprintf(path, sizeof(path), "mounts/%s", mounts[0]->id);
    late.lock = openat(f->store->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sl_flock(late.lock, LOCK_EX), 0);
    (void)sl_mount_record_free(mounts[0]);
    free(mounts);
    assert_int_equal(umount(m.target), 0);
    late.base = f->dir;
    late.reads_left = n_reads;
    f->store->step_hook = mount_late;
    (void)gc(f->store);
    f->store->step_hook = NULL;
    assert_int_equal(late.reads_left, 0);
    struct sl_digest layer = layer_id(1);
    sl_store_path(path, "layers", &layer, "/fs/a");
    unsigned n_left = count_names(f->store, "mounts");
    bool has_layer = is_there(f->store->fd, path);
    (void)snprintf(at, sizeof(at), "%s/late", f->dir);
    assert_int_equal(umount(at), 0);
    assert_int_equal(rmdir(at), 0);
    assert_int_equal(n_left, 1);
    assert_true(has_layer);
}

/* Between the look at the tables and the lock: what is written to a live mount, and its layers, are
 * nobody's to collect. */
static void mount_that_comes_to_life_meanwhile_is_spared(void **state)
{
    struct store_fixture *f = *state;
    for (unsigned n_reads = 1; n_reads <= 2; n_reads++) { /* marking, sweeping */
        PUT_LAYER(f->store, 1, {'f', "a", 0});
        assert_late_mount_is_spared(f, n_reads);
        assert_int_equal(gc(f->store).staging, 1);
        assert_int_equal(count_names(f->store, "mounts"), 0);
    }
}

/* As the namespace of a container that goes on when its root was unmounted outside. */
static void mount_that_a_copied_namespace_shows_is_spared(void **state)
{
    struct store_fixture *f = *state;
    struct mounted m;
    int ready[2], done[2];
    char c = 0;
    unsigned n = 0;
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    MOUNT(&m, f, 1);
    close(m.root);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(done, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(done[1]);
        _exit(unshare(CLONE_NEWNS) < 0 || write(ready[1], &c, 1) != 1 || read(done[0], &c, 1) != 0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(umount(m.target), 0);
    assert_ok(sl_store_forget_dead_mounts(f->store, &n, ok_err));
    assert_int_equal(n, 0);
    assert_int_equal(gc(f->store).staging, 0);
    assert_int_equal(count_names(f->store, "mounts"), 1);
    close(done[1]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(ready[0]);
    close(ready[1]);
    close(done[0]);
    assert_ok(sl_store_forget_dead_mounts(f->store, &n, ok_err));
    assert_int_equal(n, 1);
}

static const char *fatal_step;

static void die_at_step(const char *step)
{
    if (strcmp(step, fatal_step) == 0)
        (void)raise(SIGKILL);
}

static void mount_killed_at_each_step_is_collected(void **state)
{
    static const struct {
        const char *step;
        bool is_mounted;
    } cases[] = {{"mount-staged", false}, {"mount-recorded", false}, {"mounted", true}};
    struct store_fixture *f = *state;
    PUT_LAYER(f->store, 1, {'f', "a", 0});
    SL_AUTO(sl_image_record) image = NEW_IMAGE(1, "image", 1);
    assert_ok(sl_image_commit(f->store, test_pass, image, ok_err));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char target[512];
        (void)snprintf(target, sizeof(target), "%s/rootfs", f->dir);
        fatal_step = cases[i].step;
        f->store->step_hook = die_at_step;
        pid_t pid = fork();
        if (pid == 0) {
            (void)!sl_store_mount(f->store, image, target, NULL, NULL);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        f->store->step_hook = NULL;
        (void)gc(f->store);
        assert_int_equal(count_names(f->store, "mounts"), cases[i].is_mounted);
        assert_int_equal(count_names(f->store, "staging"), 0);
        if (cases[i].is_mounted)
            assert_ok(sl_store_unmount(f->store, target, ok_err));
    }
}

/* ---- file systems ---- */

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static const struct CMUnitTest tests[] = {
    TEST(mount_is_made_as_asked),
    TEST(layers_merge_topmost_first),
    TEST(layer_twice_counts_where_it_comes_last),
    TEST(opaque_root_hides_all_below),
    TEST(image_without_layers_is_an_empty_directory),
    TEST(implicit_directory_looks_as_described_below),
    TEST(parents_of_implicit_directories_keep_their_own_attributes),
    TEST(described_directory_above_wins),
    TEST(cut_between_stops_the_search),
    TEST(implicit_directory_hidden_above_stays_hidden),
    TEST(whiteouts_in_directory_of_one_layer_are_not_listed),
    TEST(unusable_targets_are_refused),
    TEST(failed_mount_leaves_nothing),
    TEST(read_only_mount_takes_no_writes),
    TEST(mounted_image_is_kept_until_unmounted),
    TEST(mounts_above_a_place_are_found),
    TEST(mount_ended_by_others_is_collected),
    TEST(mount_of_another_namespace_is_spared),
    TEST(mount_that_comes_to_life_meanwhile_is_spared),
    TEST(mount_that_a_copied_namespace_shows_is_spared),
    TEST(mount_killed_at_each_step_is_collected),
};

static const struct CMUnitTest large_tests[] = {
    cmocka_unit_test(root_names_may_be_odd),
    TEST(layers_130_are_mounted),
    TEST(layers_500_are_mounted_and_501_refused),
};

static bool run(const char *const argv[])
{
    pid_t pid = -1;
    int status = 0;
    char *const no_env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    bool is_started = posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)argv, no_env) == 0;
    posix_spawn_file_actions_destroy(&quiet);
    return is_started && waitpid(pid, &status, 0) == pid && status == 0;
}

/* mount(8) makes the loop device, and it goes with the mount. */
static bool mount_image_file(const char *type, const char *dir)
{
    char image[256];
    char mkfs[32];
    (void)snprintf(image, sizeof(image), "%s.img", dir);
    (void)snprintf(mkfs, sizeof(mkfs), "mkfs.%s", type);
    int fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    bool is_done = fd >= 0 && ftruncate(fd, 320 << 20) == 0 &&
                   run((const char *const[]){mkfs, "-q", image, NULL}) &&
                   run((const char *const[]){"mount", "-t", type, "-o", "loop", image, dir, NULL});
    close(fd);
    unlink(image);
    return is_done;
}

static int run_on(const char *type)
{
    char dir[] = "/tmp/sl-fs-XXXXXX";
    if (!mkdtemp(dir))
        return 1;
    bool is_tmpfs = strcmp(type, "tmpfs") == 0;
    bool is_mounted =
        is_tmpfs ? mount("none", dir, type, 0, NULL) == 0 : mount_image_file(type, dir);
    int failed = 0;
    if (is_mounted) {
        world.base = dir;
        for (int old = 0; old < 2; old++) {
            char name[64];
            world.no_lowerdir_plus = old;
            (void)snprintf(name, sizeof(name), "overlay_mount on %s by %s", type,
                           old ? "mount(2)" : "lowerdir+");
            failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
            if (is_tmpfs)
                failed += cmocka_run_group_tests_name(name, large_tests, NULL, NULL);
        }
        if (umount(dir) < 0)
            failed++;
    } else {
        printf("skipped: no %s (mkfs.%s, a loop device and the kernel's support are needed)\n",
               type, type);
    }
    rmdir(dir);
    return failed;
}

int main(void)
{
    if (!own_mounts_enter()) {
        printf("skipped: mounting needs root\n");
        return 77;
    }
    return run_on("tmpfs") + run_on("ext4") + run_on("xfs");
}
