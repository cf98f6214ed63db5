/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bundle_path.h"
#include "scratch_dir.h"

#include <fcntl.h>

static int open_below(const struct scratch_dir *d, const char *name, struct sl_bundle_path *ret,
                      struct sl_error *err)
{
    char *root = scratch_path(d, "root"), *path = scratch_path(d, name);
    char *roots[] = {root, NULL};
    int r = sl_bundle_path_open(roots, /* store= */ NULL, path, ret, err);
    free(root);
    free(path);
    return r;
}

static void assert_refused(const struct scratch_dir *d, const char *name, int errnum,
                           enum sl_errc code)
{
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    struct sl_error err = {0};
    assert_int_equal(open_below(d, name, &bundle, &err), -errnum);
    assert_int_equal(err.code, code);
}

static void make_root(const struct scratch_dir *d)
{
    char *root = scratch_path(d, "root");
    assert_int_equal(mkdir(root, 0755), 0);
    free(root);
}

static void link_to(const struct scratch_dir *d, const char *name, const char *target)
{
    char *path = scratch_path(d, name);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

static bool exists(const struct scratch_dir *d, const char *name)
{
    char *path = scratch_path(d, name);
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return is_there;
}

/* What lies between a root and a longer one is the operator's: links there are followed. */
static void bundle_path_goes_from_the_longest_root(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    make_root(&d);
    scratch_write(&d, "disk/in/x", "", 0644);
    link_to(&d, "root/link", "../disk");
    char *shorter = scratch_path(&d, "root"), *longer = scratch_path(&d, "root/link/in");
    char *path = scratch_path(&d, "root/link/in/bundle");
    char *const orders[][3] = {{shorter, longer, NULL}, {longer, shorter, NULL}};
    for (size_t i = 0; i < 2; i++) {
        SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
        SL_AUTO_FD fd = -1;
        assert_int_equal(sl_bundle_path_open(orders[i], /* store= */ NULL, path, &bundle, NULL), 0);
        assert_string_equal(bundle.rest, "bundle");
        assert_int_equal(sl_bundle_path_make(&bundle, &fd, NULL), 0);
        assert_true(exists(&d, "disk/in/bundle"));
        sl_bundle_path_undo(&bundle);
    }
    free(shorter);
    free(longer);
    free(path);
}

static void bundle_path_makes_what_is_missing_and_undoes_only_that(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    SL_AUTO_FD fd = -1;
    struct stat st;
    make_root(&d);
    scratch_write(&d, "root/here/file", "", 0644);
    assert_int_equal(open_below(&d, "root/here//a/b/", &bundle, NULL), 0);
    assert_false(exists(&d, "root/here/a"));
    assert_int_equal(sl_bundle_path_make(&bundle, &fd, NULL), 0);
    char *path = scratch_path(&d, "root/here/a");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    free(path);
    assert_true(exists(&d, "root/here/a/b"));
    sl_bundle_path_undo(&bundle);
    assert_false(exists(&d, "root/here/a"));
    assert_true(exists(&d, "root/here"));
}

static void bundle_path_in_use_is_not_undone(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    SL_AUTO_FD fd = -1;
    make_root(&d);
    assert_int_equal(open_below(&d, "root/a/b", &bundle, NULL), 0);
    assert_int_equal(sl_bundle_path_make(&bundle, &fd, NULL), 0);
    scratch_write(&d, "root/a/other", "", 0644);
    sl_bundle_path_undo(&bundle);
    assert_false(exists(&d, "root/a/b"));
    assert_true(exists(&d, "root/a"));
}

static void bundle_path_outside_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    make_root(&d);
    assert_refused(&d, "elsewhere/a", EPERM, SL_E_POLICY);
    assert_refused(&d, "rooted/a", EPERM, SL_E_POLICY);
    assert_refused(&d, "root", EPERM, SL_E_POLICY);
    assert_refused(&d, "root//", EPERM, SL_E_POLICY);
    assert_refused(&d, "root/../elsewhere", EINVAL, SL_E_FORMAT);
    assert_refused(&d, "root/a/./b", EINVAL, SL_E_FORMAT);
    assert_refused(&d, "root/a/..", EINVAL, SL_E_FORMAT);
}

static void bundle_path_that_is_none_is_refused(void **state)
{
    (void)state;
    char *roots[] = {(char *)"/tmp", NULL};
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    struct sl_error err = {0};
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, "", &bundle, &err), -EINVAL);
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, "tmp/a", &bundle, &err),
                     -EINVAL);
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, "/", &bundle, &err), -EINVAL);
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, "/tmp/a\n", &bundle, &err),
                     -EINVAL);
    assert_int_equal(sl_bundle_path_open(NULL, /* store= */ NULL, "/tmp/a", &bundle, &err), -EPERM);
    char deep[300] = "/tmp";
    for (size_t i = 0; i < SL_BENEATH_DEPTH_MAX; i++)
        strcat(deep, "/a");
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, deep, &bundle, &err),
                     -ENAMETOOLONG);
    char name[300] = "/tmp/";
    memset(name + 5, 'x', 256);
    assert_int_equal(sl_bundle_path_open(roots, /* store= */ NULL, name, &bundle, &err),
                     -ENAMETOOLONG);
}

static void bundle_path_in_the_store_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    char *root = scratch_path(&d, "root"), *store = scratch_path(&d, "root/link/");
    char *roots[] = {root, NULL};
    const char *const bad[] = {"root/image", "root/image/layers", "root/image/a/new"};
    make_root(&d);
    scratch_write(&d, "root/image/layers/file", "", 0644);
    link_to(&d, "root/link", "image");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
        SL_AUTO_FD fd = -1;
        struct sl_error err = {0};
        char *path = scratch_path(&d, bad[i]);
        int r = sl_bundle_path_open(roots, store, path, &bundle, &err);
        if (r == 0)
            r = sl_bundle_path_make(&bundle, &fd, &err);
        assert_int_equal(r, -EPERM);
        assert_int_equal(err.code, SL_E_POLICY);
        free(path);
    }
    assert_false(exists(&d, "root/image/a"));
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    char *beside = scratch_path(&d, "root/images");
    assert_int_equal(sl_bundle_path_open(roots, store, beside, &bundle, NULL), 0);
    free(beside);
    free(root);
    free(store);
}

static void bundle_path_through_a_symlink_is_refused(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    make_root(&d);
    scratch_write(&d, "root/there/rootfs/file", "", 0644);
    link_to(&d, "root/link", "there");
    link_to(&d, "root/dangling", "nowhere");
    scratch_write(&d, "root/bundle/file", "", 0644);
    link_to(&d, "root/bundle/rootfs", "../there/rootfs");
    assert_refused(&d, "root/link", ELOOP, SL_E_POLICY);
    assert_refused(&d, "root/link/a", ELOOP, SL_E_POLICY);
    assert_refused(&d, "root/dangling/a", ELOOP, SL_E_POLICY);
    assert_refused(&d, "root/bundle", ELOOP, SL_E_POLICY);
    assert_refused(&d, "root/there/rootfs/file", ENOTDIR, SL_E_SYSTEM);
}

/* Somebody puts a link there between the two looks. */
static void bundle_path_that_became_a_symlink_is_refused_when_made(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_DONE(sl_bundle_path) bundle = {.root_fd = -1};
    struct sl_error err = {0};
    int fd = -1;
    make_root(&d);
    assert_int_equal(open_below(&d, "root/a/b", &bundle, NULL), 0);
    link_to(&d, "root/a", d.path);
    assert_int_equal(sl_bundle_path_make(&bundle, &fd, &err), -ELOOP);
    assert_false(exists(&d, "b"));
    assert_true(exists(&d, "root/a"));
}

static void bundle_path_half_made_is_undone(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    struct sl_beneath_made made = {0};
    int fd = -1;
    int root = open(d.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char bad[300] = "a/b/";
    memset(bad + 4, 'x', 256);
    struct sl_error err = {0};
    assert_int_equal(sl_beneath_open_dir(root, bad, 0750, &made, &fd, &err), -ENAMETOOLONG);
    assert_int_equal(made.n, 2);
    sl_beneath_undo(root, bad, &made);
    assert_false(exists(&d, "a"));
    close(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundle_path_goes_from_the_longest_root),
        cmocka_unit_test(bundle_path_makes_what_is_missing_and_undoes_only_that),
        cmocka_unit_test(bundle_path_in_use_is_not_undone),
        cmocka_unit_test(bundle_path_outside_is_refused),
        cmocka_unit_test(bundle_path_that_is_none_is_refused),
        cmocka_unit_test(bundle_path_in_the_store_is_refused),
        cmocka_unit_test(bundle_path_through_a_symlink_is_refused),
        cmocka_unit_test(bundle_path_that_became_a_symlink_is_refused_when_made),
        cmocka_unit_test(bundle_path_half_made_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
