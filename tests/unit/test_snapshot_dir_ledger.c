/* SPDX-License-Identifier: Apache-2.0 */
/* Times of directories, set when all is in place; what has become of the directory meanwhile; and
 * how many a layer may have. */
#include "dir_ledger.h"

#include "staged_stub.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch_dir.h"

struct tree {
    struct scratch_dir dir;
    struct sl_staged_layer staged;
    struct sl_path_guard *guard;
    struct sl_dir_ledger ledger;
};

static int no_dir_is_made(void *arg, struct sl_span path, int fd, struct sl_error *err)
{
    (void)arg, (void)path, (void)fd, (void)err;
    fail_msg("a directory was made");
    return 0;
}

static int set_up(void **state)
{
    struct tree *t = calloc(1, sizeof(*t));
    t->dir = scratch_make();
    t->staged.fd = open(t->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = t;
    return sl_path_guard_new(t->staged.fd, false, no_dir_is_made, NULL, &t->guard, NULL);
}

static int tear_down(void **state)
{
    struct tree *t = *state;
    sl_path_guard_free(t->guard);
    sl_dir_ledger_done(&t->ledger);
    staged_stub_done(&t->staged);
    (void)close(t->staged.fd);
    scratch_remove(&t->dir);
    free(t);
    return 0;
}

static struct stat look(const struct tree *t, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(t->staged.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

/* Makes the directory if it is not there, and notes it with these seconds. */
static void note(struct tree *t, const char *name, time_t seconds, bool is_implicit)
{
    (void)mkdirat(t->staged.fd, name, 0755);
    const struct sl_dir_note n = {.inode = look(t, name).st_ino,
                                  .is_implicit = is_implicit,
                                  .atime = {seconds + 1, 7},
                                  .mtime = {seconds, 123456789}};
    assert_int_equal(sl_dir_ledger_add(&t->ledger, sl_span_of(name), &n, NULL), 0);
}

static void settle(struct tree *t)
{
    struct sl_error err = {0};
    if (sl_dir_ledger_settle(&t->ledger, t->guard, &t->staged, &err) != 0)
        fail_msg("%s", err.msg);
}

static void assert_time(const struct tree *t, const char *name, time_t seconds)
{
    struct stat st = look(t, name);
    assert_int_equal(st.st_mtim.tv_sec, seconds);
    assert_int_equal(st.st_mtim.tv_nsec, 123456789);
    assert_int_equal(st.st_atim.tv_sec, seconds + 1);
}

static void ledger_sets_times_that_children_have_changed(void **state)
{
    struct tree *t = *state;
    note(t, "a", 1000, false);
    note(t, "a/b", -5, false);
    note(t, "a/b/c", 3000, false);
    settle(t);
    assert_time(t, "a", 1000);
    assert_time(t, "a/b", -5);
    assert_time(t, "a/b/c", 3000);
    assert_int_equal(t->staged.n_implicit, 0);
}

/* Also when the first note came under another name, through a symlink. */
static void ledger_last_note_about_a_directory_counts(void **state)
{
    struct tree *t = *state;
    note(t, "a", 1, true);
    assert_int_equal(symlinkat("a", t->staged.fd, "link"), 0);
    const struct sl_dir_note n = {
        .inode = look(t, "a").st_ino, .atime = {2001, 0}, .mtime = {2000, 123456789}};
    assert_int_equal(sl_dir_ledger_add(&t->ledger, sl_span_of("a"), &n, NULL), 0);
    settle(t);
    assert_time(t, "a", 2000);
    assert_int_equal(t->staged.n_implicit, 0); /* it was described after all */
}

static void ledger_leaves_alone_what_has_replaced_a_directory(void **state)
{
    struct tree *t = *state;
    static const struct timespec old[2] = {{77, 0}, {77, 123456789}};
    note(t, "kept", 10, true);
    note(t, "gone", 11, true);
    note(t, "file", 12, true);
    note(t, "link", 13, true);
    note(t, "link/sub", 14, true);
    note(t, "other", 15, true);
    /* Kept elsewhere: the number of a removed inode may be given to the next. */
    assert_int_equal(renameat(t->staged.fd, "link/sub", t->staged.fd, "kept/was-sub"), 0);
    static const char *const names[] = {"gone", "file", "link"};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(unlinkat(t->staged.fd, names[i], AT_REMOVEDIR), 0);
    SL_AUTO_FD file = openat(t->staged.fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(futimens(file, old), 0);
    assert_int_equal(symlinkat("kept", t->staged.fd, "link"), 0);
    assert_int_equal(mkdirat(t->staged.fd, "kept/sub", 0755), 0);
    /* Another directory of the same name, while the old inode is still taken. */
    assert_int_equal(renameat(t->staged.fd, "other", t->staged.fd, "kept/old"), 0);
    assert_int_equal(mkdirat(t->staged.fd, "other", 0755), 0);
    assert_int_equal(utimensat(t->staged.fd, "other", old, 0), 0);
    settle(t);
    assert_time(t, "kept", 10);
    assert_int_equal(look(t, "file").st_mtim.tv_sec, 77);
    assert_int_equal(look(t, "other").st_mtim.tv_sec, 77);
    assert_int_not_equal(look(t, "kept/sub").st_mtim.tv_sec, 14);
    assert_int_equal(t->staged.n_implicit, 1);
    assert_string_equal(t->staged.implicit[0], "kept");
}

static void ledger_of_a_layer_is_limited(void **state)
{
    struct tree *t = *state;
    const struct sl_dir_note n = {.inode = 1};
    const char name[] = "directories/of/forty/bytes/and/more/of/it";
    struct sl_error err = {0};
    int r = 0;
    while (r == 0 && t->ledger.n < SL_DIR_LEDGER_MAX)
        r = sl_dir_ledger_add(&t->ledger, sl_span_of(name), &n, &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    size_t each = sizeof(n) + sizeof(name) - 1;
    assert_in_range(t->ledger.n * each, SL_DIR_LEDGER_MAX - 2 * each, SL_DIR_LEDGER_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ledger_sets_times_that_children_have_changed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ledger_last_note_about_a_directory_counts, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ledger_leaves_alone_what_has_replaced_a_directory, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ledger_of_a_layer_is_limited, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
