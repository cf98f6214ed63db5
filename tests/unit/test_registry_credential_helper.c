/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "credential_helper.h"
#include "scratch_dir.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <time.h>

static void install(const struct scratch_dir *d, const char *script)
{
    scratch_write(d, "docker-credential-xyz", script, 0755);
    SL_AUTO_FREE char *path = sl_strf("%s:/usr/bin:/bin", d->path);
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void expect_refused(enum sl_errc code, int r_expected, const char *in_msg)
{
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    int r = sl_credential_helper_get_within("xyz", "q.io", 10000, /* cancel_fd= */ -1, &c, &err);
    if (r != r_expected || err.code != code || !strstr(err.msg, in_msg))
        fail_msg("%d %s: %s", r, sl_errc_name(err.code), err.msg);
    assert_true(sl_credentials_is_anonymous(&c));
    assert_null(strstr(err.msg, "SECRET"));
}

static void helper_is_asked_by_dockers_protocol(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d,
            "#!/bin/sh\n[ \"$#\" = 1 ] && [ \"$1\" = get ] || exit 9\n"
            "server=$(cat)\n"
            "printf '{\"ServerURL\":\"%s\",\"Username\":\"u\",\"Secret\":\"p:%s\"}\\n' \"$server\""
            " \"$server\"\n");
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    if (sl_credential_helper_get("xyz", "q.io:5000", /* cancel_fd= */ -1, &c, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(c.username, "u");
    assert_string_equal(c.password, "p:q.io:5000");
    assert_null(c.identity_token);
}

static void helper_user_token_is_an_identity_token(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d,
            "#!/bin/sh\necho '{\"ServerURL\":\"\",\"Username\":\"<token>\",\"Secret\":\"s\"}'\n");
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(sl_credential_helper_get("xyz", "q.io", /* cancel_fd= */ -1, &c, NULL), 0);
    assert_string_equal(c.identity_token, "s");
    assert_null(c.username);
    assert_null(c.password);
}

static void helper_that_knows_nothing_means_anonymous(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d, "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n");
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(sl_credential_helper_get("xyz", "q.io", /* cancel_fd= */ -1, &c, NULL), 0);
    assert_true(sl_credentials_is_anonymous(&c));
}

static void helper_that_fails_is_an_auth_error(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d, "#!/bin/sh\necho locked\nexit 2\n");
    expect_refused(SL_E_AUTH, -EACCES, "docker-credential-xyz: failed with status 2: locked");
    install(&d, "#!/bin/sh\necho '{\"Secret\": \"SECRET\"}'\nexit 2\n");
    expect_refused(SL_E_AUTH, -EACCES, "failed with status 2");
    install(&d, "#!/bin/sh\nkill -TERM $$\n");
    expect_refused(SL_E_AUTH, -EACCES, "was killed by signal 15");
    install(&d, "#!/nonexistent/interpreter\n");
    expect_refused(SL_E_AUTH, -ENOENT, "not in PATH");
    scratch_write(&d, "docker-credential-xyz", "#!/bin/sh\n", 0644);
    expect_refused(SL_E_AUTH, -EACCES, "cannot start");
}

static void helper_answer_that_is_not_understood_is_a_format_error(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d, "#!/bin/sh\necho SECRET\n");
    expect_refused(SL_E_FORMAT, -EINVAL, "docker-credential-xyz");
    install(&d, "#!/bin/sh\n");
    expect_refused(SL_E_FORMAT, -EINVAL, "docker-credential-xyz");
    install(&d, "#!/bin/sh\necho '{\"Username\": \"u\"}'\n");
    expect_refused(SL_E_FORMAT, -EINVAL, "'Secret' is missing");
}

static void helper_that_talks_without_end_reaches_a_limit(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d, "#!/bin/sh\nexec cat /dev/zero\n");
    expect_refused(SL_E_LIMIT, -E2BIG, "larger than 65536 bytes");
}

static void helper_that_does_not_read_is_no_harm(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    install(&d, "#!/bin/sh\nexec <&-\necho '{\"Username\":\"u\",\"Secret\":\"p\"}'\n");
    SL_AUTO_DONE(sl_credentials) c = {0};
    assert_int_equal(sl_credential_helper_get("xyz", "q.io", /* cancel_fd= */ -1, &c, NULL), 0);
    assert_string_equal(c.username, "u");
}

/* It writes the number of its child to a file, and both hang. */
static void helper_that_hangs_is_killed_with_its_children(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_FREE char *pids = scratch_path(&d, "pids");
    SL_AUTO_FREE char *script = sl_strf(
        "#!/bin/sh\nsleep 1000 &\necho $$ $! > %s.new\nmv %s.new %s\nwait\n", pids, pids, pids);
    install(&d, script);
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    SL_AUTO_DONE(sl_credentials) c = {0};
    struct sl_error err = {0};
    assert_int_equal(
        sl_credential_helper_get_within("xyz", "q.io", 1000, /* cancel_fd= */ -1, &c, &err),
        -ETIMEDOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 30);
    assert_int_equal(err.code, SL_E_AUTH);
    FILE *f = fopen(pids, "re");
    assert_non_null(f);
    int shell = 0, child = 0;
    assert_int_equal(fscanf(f, "%d %d", &shell, &child), 2);
    (void)fclose(f);
    assert_int_equal(kill(shell, 0), -1); /* collected */
    /* The child is init's to collect; a signal to it takes its time. */
    SL_AUTO_FD pidfd = pidfd_open(child, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_true(pidfd < 0 || poll(&p, 1, 10000) == 1);
}

static void helper_name_that_leads_elsewhere_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "../xyz", "a/b", "a b", "-x", ".x", "a\n", "a;b", "$x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        SL_AUTO_DONE(sl_credentials) c = {0};
        struct sl_error err = {0};
        assert_int_equal(sl_credential_helper_get(bad[i], "q.io", /* cancel_fd= */ -1, &c, &err),
                         -EINVAL);
        assert_int_equal(err.code, SL_E_FORMAT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helper_is_asked_by_dockers_protocol),
        cmocka_unit_test(helper_user_token_is_an_identity_token),
        cmocka_unit_test(helper_that_knows_nothing_means_anonymous),
        cmocka_unit_test(helper_that_fails_is_an_auth_error),
        cmocka_unit_test(helper_answer_that_is_not_understood_is_a_format_error),
        cmocka_unit_test(helper_that_talks_without_end_reaches_a_limit),
        cmocka_unit_test(helper_that_does_not_read_is_no_harm),
        cmocka_unit_test(helper_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(helper_name_that_leads_elsewhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
