/* SPDX-License-Identifier: Apache-2.0 */
/* Safe paths: both ways of resolving them, the change from one to the other, and somebody who
 * moves directories and symlinks about while entries are applied. */
#include "path_guard.h"

#include "syscall_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "scratch_dir.h"

/* root/ to guard, outside/ beside it. */
struct place {
    struct scratch_dir dir;
    int base, root;
    unsigned n_made;
};

static int count_made(void *arg, struct sl_span path, int fd, struct sl_error *err)
{
    (void)path, (void)fd, (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static struct place place_new(void)
{
    struct place p = {.dir = scratch_make()};
    p.base = open(p.dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(p.base, "root", 0755), 0);
    assert_int_equal(mkdirat(p.base, "outside", 0755), 0);
    p.root = openat(p.base, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(p.root, "a", 0755), 0);
    assert_int_equal(mkdirat(p.root, "a/b", 0755), 0);
    assert_int_equal(symlinkat("../../../../a/b", p.root, "a/climbs"), 0);
    assert_int_equal(symlinkat("/a", p.root, "absolute"), 0);
    assert_int_equal(symlinkat("../outside", p.root, "out"), 0);
    assert_int_equal(symlinkat("loop", p.root, "loop"), 0);
    assert_int_equal(symlinkat("/proc/self/cwd", p.root, "magic"), 0);
    return p;
}

static void place_done(struct place *p)
{
    (void)close(p->root);
    (void)close(p->base);
    scratch_remove(&p->dir);
}

static int resolve(struct sl_path_guard *guard, const char *path, bool make, struct stat *ret,
                   struct sl_error *err)
{
    SL_AUTO_DONE(sl_clean_path) clean = {0};
    struct sl_place at = {.dirfd = -1};
    int r = sl_clean_path_set(&clean, sl_span_of(path), 100, err);
    if (r == 0)
        r = make ? sl_path_guard_make(guard, &clean, &at, err)
                 : sl_path_guard_find(guard, &clean, &at, err);
    if (r == 0)
        assert_int_equal(fstat(at.dirfd, ret), 0);
    return r;
}

/* The same answers, whichever way they are found. */
static void check_answers(struct place *p, bool no_openat2)
{
    static const struct {
        const char *path, *parent; /* NULL: it is not there */
        int r;
    } cases[] = {
        {"top", ".", 0},          {"a/x", "a", 0},
        {"a/b/x", "a/b", 0},      {"a/climbs/x", "a/b", 0},
        {"absolute/x", "a", 0},   {"absolute/climbs/x", "a/b", 0},
        {"no/x", NULL, -ENOENT},  {"out/x", NULL, -ENOENT},
        {"loop/x", NULL, -ELOOP}, {"magic/x", NULL, -ENOENT},
    };
    SL_AUTO(sl_path_guard) guard = NULL;
    assert_int_equal(sl_path_guard_new(p->root, no_openat2, count_made, &p->n_made, &guard, NULL),
                     0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stat got, want;
        struct sl_error err = {0};
        int r = resolve(guard, cases[i].path, /* make= */ false, &got, &err);
        if (r != cases[i].r)
            fail_msg("%s: %d %s", cases[i].path, r, err.msg);
        if (r < 0) {
            assert_int_equal(err.errnum, -r);
            continue;
        }
        assert_int_equal(fstatat(p->root, cases[i].parent, &want, 0), 0);
        assert_int_equal(got.st_ino, want.st_ino);
    }
    assert_int_equal(p->n_made, 0);
}

static void path_with_openat2_stays_inside(void **state)
{
    (void)state;
    struct place p = place_new();
    check_answers(&p, /* no_openat2= */ false);
    place_done(&p);
}

static void path_without_openat2_stays_inside(void **state)
{
    (void)state;
    struct place p = place_new();
    check_answers(&p, /* no_openat2= */ true);
    place_done(&p);
}

/* In a child, since a filter is for good. Not told to do without openat2, it finds out itself. */
static void path_where_openat2_is_denied(int errnum)
{
    static const int openat2_number = SYS_openat2;
    struct place p = place_new();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (filter_system_calls(&openat2_number, 1, errnum) < 0)
            _exit(77);
        errno = 0;
        bool denied = syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == errnum;
        if (denied)
            check_answers(&p, /* no_openat2= */ false);
        _exit(!denied);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    place_done(&p);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void path_where_the_kernel_has_no_openat2_stays_inside(void **state)
{
    (void)state;
    path_where_openat2_is_denied(ENOSYS);
}

static void path_where_a_filter_forbids_openat2_stays_inside(void **state)
{
    (void)state;
    path_where_openat2_is_denied(EPERM);
}

static void path_made_has_plain_directories_whatever_the_umask(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct place p = place_new();
    mode_t before = umask(0777);
    for (int i = 0; i < 2; i++) {
        SL_AUTO(sl_path_guard) guard = NULL;
        struct stat st;
        assert_int_equal(
            sl_path_guard_new(p.root, /* no_openat2= */ i, count_made, &p.n_made, &guard, NULL), 0);
        assert_int_equal(resolve(guard, i ? "m/n/x" : "k/l/x", /* make= */ true, &st, NULL), 0);
        assert_int_equal(st.st_mode, S_IFDIR | 0755);
    }
    umask(before);
    assert_int_equal(p.n_made, 4);
    place_done(&p);
}

/* What is handed out stays good over the next call; more directories than are remembered. */
static void path_remembered_is_the_one_asked_for(void **state)
{
    (void)state;
    struct place p = place_new();
    SL_AUTO(sl_path_guard) guard = NULL;
    assert_int_equal(sl_path_guard_new(p.root, false, count_made, &p.n_made, &guard, NULL), 0);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 20; i++) {
            char name[16], path[24];
            struct stat got, want;
            (void)snprintf(name, sizeof(name), "d%u", i * 7 % 20);
            (void)snprintf(path, sizeof(path), "%s/x", name);
            assert_int_equal(resolve(guard, path, /* make= */ true, &got, NULL), 0);
            assert_int_equal(fstatat(p.root, name, &want, 0), 0);
            assert_int_equal(got.st_ino, want.st_ino);
        }
    assert_int_equal(p.n_made, 20);
    place_done(&p);
}

/* ---- a race ---- */

enum { SWAPS_WANTED = 2000, RACE_ENTRIES = 3000 };

struct swapper {
    int root;
    atomic_bool stop;
    atomic_uint swaps;
};

/* "d" is a directory, then a symlink to the outside, and so on. */
static void *swap_about(void *arg)
{
    struct swapper *s = arg;
    while (!atomic_load(&s->stop)) {
        if (renameat2(s->root, "d", s->root, "other", RENAME_EXCHANGE) == 0)
            atomic_fetch_add(&s->swaps, 1);
    }
    return NULL;
}

static int anything(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type;
    if (ftw->level > 0)
        fail_msg("%s is outside", path);
    return 0;
}

static void race(bool no_openat2)
{
    struct place p = place_new();
    struct swapper s = {.root = p.root};
    pthread_t thread;
    SL_AUTO(sl_path_guard) guard = NULL;
    assert_int_equal(mkdirat(p.root, "d", 0755), 0);
    assert_int_equal(symlinkat("../outside", p.root, "other"), 0);
    assert_int_equal(sl_path_guard_new(p.root, no_openat2, count_made, &p.n_made, &guard, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap_about, &s), 0);
    unsigned n_placed = 0;
    for (unsigned i = 0; i < RACE_ENTRIES || atomic_load(&s.swaps) < SWAPS_WANTED; i++) {
        SL_AUTO_DONE(sl_clean_path) clean = {0};
        char path[32];
        struct sl_place at;
        (void)snprintf(path, sizeof(path), "d/s%u/f%u", i % 50, i);
        assert_int_equal(sl_clean_path_set(&clean, sl_span_of(path), 10, NULL), 0);
        /* It may fail, since things vanish under it. It must not lead astray. */
        if (sl_path_guard_make(guard, &clean, &at, NULL) == 0) {
            SL_AUTO_FD fd =
                openat(at.dirfd, at.base, O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
            n_placed += fd >= 0;
        }
        if (i % 3 == 0)
            sl_path_guard_forget(guard);
    }
    atomic_store(&s.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    char outside[96];
    (void)snprintf(outside, sizeof(outside), "%s/outside", p.dir.path);
    assert_int_equal(nftw(outside, anything, 8, FTW_PHYS), 0);
    assert_in_range(n_placed, 1, UINT32_MAX);
    guard = sl_path_guard_free(guard);
    place_done(&p);
}

static void path_swapped_for_a_symlink_meanwhile_stays_inside(void **state)
{
    (void)state;
    race(/* no_openat2= */ false);
}

static void path_swapped_meanwhile_stays_inside_without_openat2(void **state)
{
    (void)state;
    race(/* no_openat2= */ true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_with_openat2_stays_inside),
        cmocka_unit_test(path_without_openat2_stays_inside),
        cmocka_unit_test(path_where_the_kernel_has_no_openat2_stays_inside),
        cmocka_unit_test(path_where_a_filter_forbids_openat2_stays_inside),
        cmocka_unit_test(path_made_has_plain_directories_whatever_the_umask),
        cmocka_unit_test(path_remembered_is_the_one_asked_for),
        cmocka_unit_test(path_swapped_for_a_symlink_meanwhile_stays_inside),
        cmocka_unit_test(path_swapped_meanwhile_stays_inside_without_openat2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
