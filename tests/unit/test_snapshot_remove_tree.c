/* SPDX-License-Identifier: Apache-2.0 */
#include "remove_tree.h"

#include "own_mounts.h"
#include "sluice/core/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->path, sizeof(p->path), "/tmp/sl-remove-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->fd >= 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    close(p->fd);
    assert_int_equal(rmdir(p->path), 0);
    free(p);
    return 0;
}

static void touch(int dirfd, const char *name)
{
    SL_AUTO_FD fd = openat(dirfd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
}

static void missing_name_is_success(void **state)
{
    struct place *p = *state;
    assert_int_equal(sl_remove_tree(p->fd, "nothing", NULL), 0);
}

static void symlink_loses_itself_only(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdirat(p->fd, "kept", 0700), 0);
    SL_AUTO_FD kept = openat(p->fd, "kept", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    touch(kept, "file");
    assert_int_equal(mkdirat(p->fd, "tree", 0700), 0);
    assert_int_equal(symlinkat("../kept", p->fd, "tree/inside"), 0);
    assert_int_equal(symlinkat("kept", p->fd, "link"), 0);
    assert_int_equal(sl_remove_tree(p->fd, "tree", NULL), 0);
    assert_int_equal(sl_remove_tree(p->fd, "link", NULL), 0);
    assert_int_equal(faccessat(p->fd, "kept/file", F_OK, 0), 0);
    assert_int_equal(faccessat(p->fd, "tree", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(faccessat(p->fd, "link", F_OK, AT_SYMLINK_NOFOLLOW), -1);
    assert_int_equal(sl_remove_tree(p->fd, "kept", NULL), 0);
}

/* 6000 levels with names of 100 bytes: far beyond PATH_MAX and the limit on descriptors. The name
 * that move-ups want is taken at the top by a file and by a directory that is not empty. */
static void deep_tree_is_removed(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdirat(p->fd, "tree", 0700), 0);
    assert_int_equal(mkdirat(p->fd, "tree/.moved-up-1", 0700), 0);
    SL_AUTO_FD fd = openat(p->fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    touch(fd, ".moved-up-0");
    touch(fd, ".moved-up-1/file");
    char name[101];
    memset(name, 'd', 100);
    name[100] = '\0';
    for (unsigned i = 0; i < 6000; i++) {
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        touch(next, "file");
        close(fd);
        fd = next;
    }
    assert_int_equal(sl_remove_tree(p->fd, "tree", NULL), 0);
}

static void wide_tree_is_removed(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdirat(p->fd, "tree", 0700), 0);
    SL_AUTO_FD fd = openat(p->fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < 5000; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "%c%u", i % 10 ? 'f' : 'd', i);
        if (i % 10)
            touch(fd, name);
        else
            assert_int_equal(mkdirat(fd, name, i % 20 ? 0700 : 0), 0);
    }
    assert_int_equal(sl_remove_tree(p->fd, "tree", NULL), 0);
}

/* A mount below is somebody's data: it stops the removal and keeps its content. */
static void mount_below_is_left_alone(void **state)
{
    struct place *p = *state;
    if (!own_mounts_enter())
        skip();
    /* The old descriptor would look from the old namespace, where nothing is mounted. */
    close(p->fd);
    p->fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char mounted[128];
    char source[128];
    (void)snprintf(mounted, sizeof(mounted), "%s/tree/mounted", p->path);
    (void)snprintf(source, sizeof(source), "%s/source", p->path);
    assert_int_equal(mkdirat(p->fd, "tree", 0700), 0);
    assert_int_equal(mkdirat(p->fd, "tree/mounted", 0700), 0);
    assert_int_equal(mkdirat(p->fd, "source", 0700), 0);
    touch(p->fd, "source/file");
    assert_int_equal(mount(source, mounted, NULL, MS_BIND, NULL), 0);
    struct sl_error err = {0};
    assert_int_equal(sl_remove_tree(p->fd, "tree", &err), -EXDEV);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_int_equal(faccessat(p->fd, "source/file", F_OK, 0), 0);
    assert_int_equal(umount2(mounted, MNT_DETACH), 0);
    assert_int_equal(sl_remove_tree(p->fd, "tree", NULL), 0);
    assert_int_equal(sl_remove_tree(p->fd, "source", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(missing_name_is_success, set_up, tear_down),
        cmocka_unit_test_setup_teardown(symlink_loses_itself_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(deep_tree_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wide_tree_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mount_below_is_left_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("remove_tree", tests, NULL, NULL);
}
