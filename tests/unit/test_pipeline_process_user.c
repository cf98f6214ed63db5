/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime_config.h"

#include "syscall_filter.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct rootfs {
    char dir[64];
    int fd;
};

static void put(const struct rootfs *r, const char *path, const char *text)
{
    int fd = openat(r->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup(void **state)
{
    struct rootfs *r = calloc(1, sizeof(*r));
    (void)snprintf(r->dir, sizeof(r->dir), "/tmp/sl-user-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->fd = open(r->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(r->fd, "etc", 0755), 0);
    put(r, "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbroken line\n:x:\napp:x:100:200::/:/bin/sh\n"
        "7:x:70:71::/:\nhuge:x:99999999999:1::/:\n");
    put(r, "etc/group",
        "root:x:0:\nwheel:x:10:root,app\nstaff:x:20:app\napp:x:200:app\nnone:x:x:app\n");
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rootfs *r = *state;
    (void)unlinkat(r->fd, "etc/passwd", 0);
    (void)unlinkat(r->fd, "etc/group", 0);
    (void)unlinkat(r->fd, "etc", AT_REMOVEDIR);
    close(r->fd);
    (void)rmdir(r->dir);
    free(r);
    return 0;
}

static void assert_user(const struct rootfs *r, const char *text, uint32_t uid, uint32_t gid,
                        size_t n_groups)
{
    struct sl_error err = {0};
    struct sl_process_user user = {0};
    if (sl_process_user_resolve(r->fd, text, &user, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    assert_int_equal(user.uid, uid);
    assert_int_equal(user.gid, gid);
    assert_int_equal(user.n_groups, n_groups);
    sl_process_user_done(&user);
}

static void user_of_every_form_is_resolved(void **state)
{
    struct rootfs *r = *state;
    assert_user(r, NULL, 0, 0, 0);
    assert_user(r, "", 0, 0, 0);
    assert_user(r, "root", 0, 0, 1);
    assert_user(r, "app", 100, 200, 2); /* wheel and staff; its own group is no supplement */
    assert_user(r, "100", 100, 200, 2);
    assert_user(r, "555", 555, 0, 0);
    assert_user(r, "app:staff", 100, 20, 0);
    assert_user(r, "app:9", 100, 9, 0);
    assert_user(r, "555:staff", 555, 20, 0);
    assert_user(r, ":staff", 0, 20, 0);
    assert_user(r, "app:", 100, 200, 0);
    assert_user(r, "7", 70, 71, 0); /* a name of digits is a name first */
}

static void user_or_group_unknown_is_told(void **state)
{
    struct rootfs *r = *state;
    static const char *const unknown[] = {"nobody", "app:nobody", "huge", "-1", "99999999999"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        struct sl_error err = {0};
        struct sl_process_user user = {.uid = 42};
        assert_int_equal(sl_process_user_resolve(r->fd, unknown[i], &user, &err), -ENOENT);
        assert_int_equal(err.code, SL_E_FORMAT);
        assert_int_equal(user.uid, 42);
    }
}

static void passwd_that_leads_outside_is_not_read(void **state)
{
    struct rootfs *r = *state;
    struct sl_error err = {0};
    struct sl_process_user user;
    assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
    /* In the root this is the root's own etc/passwd, which is not there. */
    assert_int_equal(symlinkat("../../../../../../etc/passwd", r->fd, "etc/passwd"), 0);
    assert_int_equal(sl_process_user_resolve(r->fd, "daemon", &user, &err), -ENOENT);
}

static void passwd_that_is_a_fifo_is_refused(void **state)
{
    struct rootfs *r = *state;
    struct sl_error err = {0};
    struct sl_process_user user;
    assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
    assert_int_equal(mkfifoat(r->fd, "etc/passwd", 0644), 0);
    assert_int_equal(sl_process_user_resolve(r->fd, "app", &user, &err), -EINVAL);
    assert_int_equal(err.code, SL_E_FORMAT);
}

/* Without openat2 the files are found all the same, and a link leads nowhere. */
static int without_openat2(const struct rootfs *r, int errnum)
{
    static const int calls[] = {SYS_openat2};
    struct sl_process_user user = {0};
    if (filter_system_calls(calls, 1, errnum) < 0)
        return 77;
    if (sl_process_user_resolve(r->fd, "app:staff", &user, NULL) != 0 || user.uid != 100 ||
        user.gid != 20)
        return 1;
    (void)unlinkat(r->fd, "etc/passwd", 0);
    (void)symlinkat("/etc/passwd", r->fd, "etc/passwd");
    return sl_process_user_resolve(r->fd, "daemon", &user, NULL) == -ENOENT ? 0 : 2;
}

static void user_without_openat2_is_resolved(void **state)
{
    static const int errnums[] = {ENOSYS, EPERM};
    struct rootfs *r = *state;
    for (size_t i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(without_openat2(r, errnums[i]));
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(unlinkat(r->fd, "etc/passwd", 0), 0);
        put(r, "etc/passwd", "app:x:100:200::/:/bin/sh\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(user_of_every_form_is_resolved, setup, teardown),
        cmocka_unit_test_setup_teardown(user_or_group_unknown_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(passwd_that_leads_outside_is_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(passwd_that_is_a_fifo_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(user_without_openat2_is_resolved, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
