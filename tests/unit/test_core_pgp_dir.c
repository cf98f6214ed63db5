/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs are killed for the directory they were given. */
#include "sluice/core/pgp_dir.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTION "--homedir="

extern char **environ;

/* With our number: this test may run twice at a time. */
static char option[64], longer_option[sizeof(option) + 1];
static const char *home = option + sizeof(OPTION) - 1, *longer = longer_option + sizeof(OPTION) - 1;

static int set_up(void **state)
{
    (void)state;
    snprintf(option, sizeof(option), OPTION "/nowhere/sluice-pgp-%d", getpid());
    snprintf(longer_option, sizeof(longer_option), "%sx", option);
    return 0;
}

/* How a program with these arguments ends, that by itself ends when its input does. It speaks
 * first: in the midst of exec it has no arguments. */
static int end_of(const char *first, const char *second)
{
    char *argv[] = {"sh",           "-c", "echo; read line; exit 7", "gpg", (char *)first,
                    (char *)second, NULL};
    posix_spawn_file_actions_t actions;
    int status, input[2], output[2];
    char byte;
    pid_t pid;
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    assert_int_equal(read(output[0], &byte, 1), 1);
    sl_pgp_dir_kill(home);
    close(input[1]);
    close(output[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void assert_killed(const char *first, const char *second)
{
    int status = end_of(first, second);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void assert_spared(const char *first, const char *second)
{
    int status = end_of(first, second);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void user_of_the_directory_is_killed_in_both_spellings(void **state)
{
    (void)state;
    assert_killed("--homedir", home);
    assert_killed(option, NULL);
    assert_killed(option, "--version");
    assert_killed("--homedir=/elsewhere", option);
}

static void others_are_spared(void **state)
{
    (void)state;
    assert_spared("--homedir", longer);
    assert_spared(longer_option, NULL);
    assert_spared("--homedir=", home);
    assert_spared("--homedir", NULL);
    assert_spared(home, "--homedir");
    assert_spared("--homedirs", home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_of_the_directory_is_killed_in_both_spellings),
        cmocka_unit_test(others_are_spared),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
