/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include "scratch_dir.h"
#include "sluice/core/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { LONG_MS = 20 * 1000, BIG = 1024 * 1024 };

static int run_shell(const char *script, struct sl_span input, int deadline_ms,
                     struct sl_subprocess_result *ret, struct sl_error *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct sl_subprocess process = {.argv = argv,
                                          .input = input,
                                          .deadline_ms = deadline_ms,
                                          .output_max = 2 * (size_t)BIG,
                                          .errors_max = 16};
    return sl_subprocess_run(&process, ret, err);
}

static void expect_answer(const char *script, const char *input, const char *output,
                          const char *errors, int status)
{
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error err = {0};
    if (run_shell(script, sl_span_of(input), LONG_MS, &result, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(result.output.len, strlen(output));
    assert_memory_equal(result.output.len ? (char *)result.output.data : "", output,
                        result.output.len);
    assert_int_equal(result.errors.len, strlen(errors));
    assert_memory_equal(result.errors.len ? (char *)result.errors.data : "", errors,
                        result.errors.len);
    assert_int_equal(result.status, status);
}

static void program_answers_with_output_errors_and_status(void **state)
{
    (void)state;
    expect_answer("tr a-z A-Z; echo oops >&2; exit 3", "question", "QUESTION", "oops\n",
                  W_EXITCODE(3, 0));
    expect_answer("true", "", "", "", 0);
    expect_answer("cat; echo done", NULL, "done\n", "", 0);
    expect_answer("echo out >/dev/stdout; echo err >/dev/stderr", "", "out\n", "err\n", 0);
}

static void program_killed_by_a_signal_has_it_in_its_status(void **state)
{
    (void)state;
    expect_answer("echo a; kill -TERM $$", "", "a\n", "", W_EXITCODE(0, SIGTERM));
}

static void input_larger_than_a_pipe_comes_back_whole(void **state)
{
    (void)state;
    SL_AUTO_FREE uint8_t *input = malloc(BIG);
    assert_non_null(input);
    for (size_t i = 0; i < BIG; i++)
        input[i] = (uint8_t)(i * 2654435761U >> 13);
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error err = {0};
    if (run_shell("cat", (struct sl_span){input, BIG}, LONG_MS, &result, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(result.output.len, BIG);
    assert_memory_equal(result.output.data, input, BIG);
}

static void program_that_never_reads_is_no_harm(void **state)
{
    (void)state;
    SL_AUTO_FREE uint8_t *input = calloc(1, BIG);
    assert_non_null(input);
    static const char *const scripts[] = {"exec <&-; echo answer", "echo answer"};
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        SL_AUTO_DONE(sl_subprocess_result) result = {0};
        assert_int_equal(
            run_shell(scripts[i], (struct sl_span){input, BIG}, LONG_MS, &result, NULL), 0);
        assert_string_equal((char *)result.output.data, "answer\n");
    }
}

static void expect_deadline(const char *script, struct sl_span input)
{
    struct sl_subprocess_result result = {0};
    struct sl_error err = {0};
    assert_int_equal(run_shell(script, input, 100, &result, &err), -ETIMEDOUT);
    assert_int_equal(err.code, SL_E_SYSTEM);
    assert_string_equal(err.msg, "sh: did not answer in time (100 ms) and was killed");
    assert_null(result.output.data);
}

static void program_that_hangs_is_killed_at_its_deadline(void **state)
{
    (void)state;
    SL_AUTO_FREE uint8_t *input = calloc(1, BIG);
    assert_non_null(input);
    expect_deadline("sleep 1000", (struct sl_span){0});
    expect_deadline("sleep 1000", (struct sl_span){input, BIG});
    expect_deadline("exec >&- 2>&-; sleep 1000", (struct sl_span){0});
    expect_deadline("exec cat /dev/zero >&2", (struct sl_span){0});
}

/* Whoever cancels once the program has said, on a FIFO, that it runs. */
struct canceller {
    const char *fifo;
    int cancel_fd;
    int child; /* a pidfd of a child of the program */
};

static void *cancel_when_told(void *arg)
{
    struct canceller *c = arg;
    char text[16] = {0};
    SL_AUTO_FD fd = open(c->fifo, O_RDONLY | O_CLOEXEC);
    if (read(fd, text, sizeof(text) - 1) > 0)
        c->child = pidfd_open((pid_t)strtol(text, NULL, 10), 0);
    (void)eventfd_write(c->cancel_fd, 1);
    return NULL;
}

static void program_cancelled_while_it_runs_is_killed_with_its_children(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    SL_AUTO_FREE char *fifo = scratch_path(&d, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    SL_AUTO_FD cancel = eventfd(0, EFD_CLOEXEC);
    struct canceller c = {.fifo = fifo, .cancel_fd = cancel, .child = -1};
    const char *const argv[] = {"sh", "-c", "sleep 1000 & echo $! > \"$0\"; wait", fifo, NULL};
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = LONG_MS, .output_max = 100, .cancel_fd = cancel};
    struct sl_subprocess_result result = {0};
    struct sl_error err = {0};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_when_told, &c), 0);
    int r = sl_subprocess_run(&process, &result, &err);
    (void)pthread_join(thread, NULL);
    SL_AUTO_FD child = c.child;
    assert_int_equal(r, -ECANCELED);
    assert_int_equal(err.code, SL_E_CANCELLED);
    assert_string_equal(err.msg, "sh: cancelled");
    struct pollfd p = {.fd = child, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Or it would be told that there is no such program. */
static void program_cancelled_before_is_not_started(void **state)
{
    (void)state;
    const char *const argv[] = {"/nonexistent/program", NULL};
    SL_AUTO_FD cancel = eventfd(1, EFD_CLOEXEC);
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = LONG_MS, .cancel_fd = cancel};
    struct sl_subprocess_result result = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_subprocess_run(&process, &result, &err), -ECANCELED);
    assert_int_equal(err.code, SL_E_CANCELLED);
}

static void program_that_floods_its_output_reaches_the_limit(void **state)
{
    (void)state;
    const char *const argv[] = {"cat", "/dev/zero", NULL};
    const struct sl_subprocess process = {
        .argv = argv, .deadline_ms = LONG_MS, .output_max = 100000};
    struct sl_subprocess_result result = {0};
    struct sl_error err = {0};
    assert_int_equal(sl_subprocess_run(&process, &result, &err), -E2BIG);
    assert_int_equal(err.code, SL_E_LIMIT);
    assert_string_equal(err.msg, "cat: larger than 100000 bytes");
    assert_null(result.output.data);
}

static void output_of_exactly_the_limit_is_kept(void **state)
{
    (void)state;
    const char *const argv[] = {"head", "-c", "100000", "/dev/zero", NULL};
    struct sl_subprocess process = {.argv = argv, .deadline_ms = LONG_MS, .output_max = 100000};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    assert_int_equal(sl_subprocess_run(&process, &result, NULL), 0);
    assert_int_equal(result.output.len, 100000);
    process.output_max--;
    SL_AUTO_DONE(sl_subprocess_result) none = {0};
    assert_int_equal(sl_subprocess_run(&process, &none, NULL), -E2BIG);
}

static void errors_beyond_what_is_kept_are_dropped(void **state)
{
    (void)state;
    expect_answer("head -c 300000 /dev/zero | tr '\\0' x >&2; echo done", "", "done\n",
                  "xxxxxxxxxxxxxxxx", 0);
}

static void errors_not_asked_for_go_nowhere(void **state)
{
    (void)state;
    const char *const argv[] = {"sh", "-c", "readlink /proc/self/fd/2; echo oops >&2", NULL};
    const struct sl_subprocess process = {.argv = argv, .deadline_ms = LONG_MS, .output_max = 100};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    assert_int_equal(sl_subprocess_run(&process, &result, NULL), 0);
    assert_string_equal((char *)result.output.data, "/dev/null\n");
    assert_null(result.errors.data);
}

/* A child that keeps stdout open neither delays the answer nor outlives it. */
static void program_that_leaves_a_child_ends_with_it(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error err = {0};
    if (run_shell("sleep 1000 & echo $!", (struct sl_span){0}, LONG_MS, &result, &err) < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(result.status, 0);
    int child = (int)strtol((char *)result.output.data, NULL, 10);
    assert_true(child > 1);
    /* It is init's to collect; a signal to it takes its time. */
    SL_AUTO_FD pidfd = pidfd_open(child, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_true(pidfd < 0 || poll(&p, 1, 10000) == 1);
}

/* One that left the group and keeps stderr open does not delay the answer either. */
static void program_that_leaves_a_daemon_ends_without_it(void **state)
{
    (void)state;
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    struct sl_error err = {0};
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    if (run_shell("pid=$(setsid sh -c 'sleep 15 >/dev/null & echo $!'); echo $pid",
                  (struct sl_span){0}, LONG_MS, &result, &err) < 0)
        fail_msg("%s", err.msg);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 10);
    (void)kill((pid_t)strtol((char *)result.output.data, NULL, 10), SIGKILL);
}

static void program_that_is_missing_or_not_executable_is_told(void **state)
{
    (void)state;
    SCRATCH_DIR d = scratch_make();
    scratch_write(&d, "plain", "#!/bin/sh\n", 0644);
    SL_AUTO_FREE char *plain = scratch_path(&d, "plain");
    const struct {
        const char *program;
        int errnum;
    } cases[] = {
        {"/nonexistent/program", ENOENT}, {"sluice-no-such-program", ENOENT}, {plain, EACCES}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const argv[] = {cases[i].program, NULL};
        const struct sl_subprocess process = {.argv = argv, .deadline_ms = LONG_MS};
        struct sl_subprocess_result result = {0};
        struct sl_error err = {0};
        assert_int_equal(sl_subprocess_run(&process, &result, &err), -cases[i].errnum);
        assert_int_equal(err.code, SL_E_SYSTEM);
        assert_non_null(strstr(err.msg, cases[i].program));
        assert_non_null(strstr(err.msg, "cannot start"));
    }
}

/* Descriptors that whoever started the test lets its children have. */
static int count_inherited(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) {
        int flags = fcntl(fd, F_GETFD);
        n += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    return n;
}

static void descriptors_are_neither_leaked_nor_inherited(void **state)
{
    (void)state;
    SL_AUTO_FREE char *want = sl_strf("%d\n", count_inherited() + 1); /* and the folder's own */
    SL_AUTO_FD before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    expect_answer("ls /proc/self/fd | wc -l", "x", want, "", 0);
    SL_AUTO_FD after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(after, before + 1);
}

/* A daemon may have closed its own. */
static void process_without_stdio_can_run_programs(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(STDIN_FILENO);
        (void)close(STDOUT_FILENO);
        (void)close(STDERR_FILENO);
        struct sl_subprocess_result result = {0};
        int r = run_shell("tr a-z A-Z; echo no >&2", sl_span_of("q"), LONG_MS, &result, NULL);
        bool ok = r == 0 && result.output.data && strcmp((char *)result.output.data, "Q") == 0 &&
                  result.errors.data && strcmp((char *)result.errors.data, "no\n") == 0;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_answers_with_output_errors_and_status),
        cmocka_unit_test(program_killed_by_a_signal_has_it_in_its_status),
        cmocka_unit_test(input_larger_than_a_pipe_comes_back_whole),
        cmocka_unit_test(program_that_never_reads_is_no_harm),
        cmocka_unit_test(program_that_hangs_is_killed_at_its_deadline),
        cmocka_unit_test(program_cancelled_while_it_runs_is_killed_with_its_children),
        cmocka_unit_test(program_cancelled_before_is_not_started),
        cmocka_unit_test(program_that_floods_its_output_reaches_the_limit),
        cmocka_unit_test(output_of_exactly_the_limit_is_kept),
        cmocka_unit_test(errors_beyond_what_is_kept_are_dropped),
        cmocka_unit_test(errors_not_asked_for_go_nowhere),
        cmocka_unit_test(program_that_leaves_a_child_ends_with_it),
        cmocka_unit_test(program_that_leaves_a_daemon_ends_without_it),
        cmocka_unit_test(program_that_is_missing_or_not_executable_is_told),
        cmocka_unit_test(descriptors_are_neither_leaked_nor_inherited),
        cmocka_unit_test(process_without_stdio_can_run_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
