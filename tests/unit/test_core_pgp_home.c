/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs gpg starts in its private home, and that they end with it. */
#include "sluice/core/pgp_home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool has_agent(const char *dir)
{
    char command[256];
    snprintf(command, sizeof(command), "pgrep -f '^gpg-agent --homedir %s ' >/dev/null", dir);
    int status = system(command); /* NOLINT(concurrency-mt-unsafe,cert-env33-c) */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
    return WEXITSTATUS(status) == 0;
}

/* Whoever makes a key needs the agent. RSA: GnuPG 2.4 makes no other as an RFC 4880 program. */
static gpgme_err_code_t make_key(const struct sl_pgp_home *home)
{
    return gpgme_err_code(gpgme_op_createkey(home->ctx, "alice", "rsa2048", 0, 0, NULL,
                                             GPGME_CREATE_NOPASSWD | GPGME_CREATE_NOEXPIRE));
}

static void the_agent_ends_with_its_home(void **state)
{
    (void)state;
    struct sl_pgp_home home = {.dir.fd = -1};
    assert_int_equal(sl_pgp_home_open(NULL, 0, &home, NULL), 0);
    assert_int_equal(make_key(&home), GPG_ERR_NO_ERROR);
    SL_AUTO_FREE char *dir = strdup(home.dir.path);
    assert_true(has_agent(dir));
    sl_pgp_home_done(&home);
    assert_false(has_agent(dir));
    assert_int_equal(access(dir, F_OK), -1);
}

static void verifying_starts_no_agent(void **state)
{
    (void)state;
    struct sl_pgp_home home = {.dir.fd = -1};
    assert_int_equal(sl_pgp_home_open_for_verifying(0, &home, NULL), 0);
    assert_int_not_equal(make_key(&home), GPG_ERR_NO_ERROR);
    assert_false(has_agent(home.dir.path));
    SL_AUTO_FREE char *dir = strdup(home.dir.path);
    sl_pgp_home_done(&home);
    assert_int_equal(access(dir, F_OK), -1);
}

static void the_users_home_is_what_gpg_uses(void **state)
{
    (void)state;
    assert_int_equal(setenv("GNUPGHOME", "/nowhere/gnupg", 1), 0); /* NOLINT(*-mt-unsafe) */
    assert_string_equal(sl_pgp_user_home(), "/nowhere/gnupg");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_agent_ends_with_its_home),
        cmocka_unit_test(verifying_starts_no_agent),
        cmocka_unit_test(the_users_home_is_what_gpg_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
