/* SPDX-License-Identifier: Apache-2.0 */
/* The program is the operator's, but it may hang, talk without end or leave children behind. Its
 * end, not that of its output, is the end of the run: a child of its own may hold that open. */
#include "sluice/core/subprocess.h"

#include "sluice/core/cancel.h"
#include "sluice/core/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PART_SIZE = 4096 };

extern char **environ;

/* Its side of its stdin, stdout and stderr. */
struct stdio {
    int fds[3];
};

struct run {
    const struct sl_subprocess *what;
    pid_t pid; /* 0: not running */
    int pidfd;
    int in, out, errors; /* our ends, -1: closed */
    struct sl_span input;
    struct sl_subprocess_result result;
    int64_t ends; /* CLOCK_MONOTONIC, milliseconds */
};

static void close_fd(int *fd)
{
    sl_cleanup_fdp(fd);
    *fd = -1;
}

static void stdio_done(struct stdio *stdio)
{
    for (int i = 0; i < 3; i++)
        close_fd(&stdio->fds[i]);
}
SL_DEFINE_AUTO_DONE(stdio, stdio_done)

/* Kills the program with all its children and collects it. */
static void run_done(struct run *run)
{
    int saved = errno;
    if (run->pid > 0) {
        (void)kill(-run->pid, SIGKILL);
        while (waitpid(run->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    close_fd(&run->pidfd);
    close_fd(&run->in);
    close_fd(&run->out);
    close_fd(&run->errors);
    sl_subprocess_result_done(&run->result);
    run->pid = 0;
    errno = saved;
}
SL_DEFINE_AUTO_DONE(run, run_done)

/* ---- starting ---- */

/* A socket, since a write to a program that has gone then gives an error (MSG_NOSIGNAL), where a
 * pipe would raise SIGPIPE in our process. */
static int open_input(int *ours, int *theirs)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    *ours = fds[0];
    *theirs = fds[1];
    return 0;
}

/* A pipe, since scripts open /dev/stdout and /dev/stderr, which cannot be done to sockets. */
static int open_output(int *ours, int *theirs)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    *ours = fds[0];
    *theirs = fds[1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int open_null(int *theirs)
{
    *theirs = open("/dev/null", O_WRONLY | O_CLOEXEC);
    return *theirs < 0 ? -errno : 0;
}

/* In a process without stdio these get the numbers 0 to 2. In this order, which is also that in
 * which the child duplicates them, none is overwritten before its turn. */
static int open_stdio(struct run *run, struct stdio *theirs, struct sl_error *err)
{
    int r = open_input(&run->in, &theirs->fds[STDIN_FILENO]);
    if (r == 0)
        r = open_output(&run->out, &theirs->fds[STDOUT_FILENO]);
    if (r == 0)
        r = run->what->errors_max ? open_output(&run->errors, &theirs->fds[STDERR_FILENO])
                                  : open_null(&theirs->fds[STDERR_FILENO]);
    return r < 0 ? sl_error_system(err, -r, "cannot set up its input and output") : 0;
}

static int set_up_child(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr,
                        const struct stdio *stdio)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = 0;
    for (int i = 0; i < 3 && !e; i++)
        e = posix_spawn_file_actions_adddup2(actions, stdio->fds[i], i);
    if (!e)
        e = posix_spawnattr_setsigmask(attr, &none);
    if (!e)
        e = posix_spawnattr_setsigdefault(attr, &all);
    if (!e)
        e = posix_spawnattr_setpgroup(attr, 0);
    if (!e)
        e = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                               POSIX_SPAWN_SETSIGDEF);
    return e;
}

static int spawn(const char *const *argv, const struct stdio *stdio, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int e = posix_spawn_file_actions_init(&actions);
    if (e)
        return e;
    e = posix_spawnattr_init(&attr);
    if (e) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return e;
    }
    e = set_up_child(&actions, &attr, stdio);
    if (!e)
        e = posix_spawnp(ret_pid, argv[0], &actions, &attr, (char *const *)argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return e;
}

static int start(struct run *run, struct sl_error *err)
{
    SL_AUTO_DONE(stdio) theirs = {.fds = {-1, -1, -1}};
    int r = open_stdio(run, &theirs, err);
    if (r < 0)
        return r;
    pid_t pid = 0;
    int e = spawn(run->what->argv, &theirs, &pid);
    if (e)
        return sl_error_system(err, e, "cannot start");
    run->pid = pid;
    run->pidfd = pidfd_open(pid, 0);
    return run->pidfd < 0 ? sl_error_system(err, errno, "pidfd_open") : 0;
}

/* ---- talking ---- */

static int send_input(struct run *run, struct sl_error *err)
{
    while (run->input.len > 0) {
        ssize_t n = send(run->in, run->input.data, run->input.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
            break; /* it needs no more of the question to answer */
        if (n < 0)
            return sl_error_system(err, errno, "send");
        run->input.data += n;
        run->input.len -= (size_t)n;
    }
    close_fd(&run->in);
    return 0;
}

struct sink {
    int *fd;
    struct sl_bytes *kept;
    size_t max;
    bool drops; /* what is beyond max; else that is an error */
};

static struct sink output_of(struct run *run)
{
    return (struct sink){&run->out, &run->result.output, run->what->output_max, false};
}

static struct sink errors_of(struct run *run)
{
    return (struct sink){&run->errors, &run->result.errors, run->what->errors_max, true};
}

static int keep(const struct sink *sink, struct sl_span part, struct sl_error *err)
{
    size_t room = sink->max - sink->kept->len;
    if (sink->drops && part.len > room)
        part.len = room;
    return sl_bytes_append(sink->kept, part, sink->max, err);
}

/* Takes one part of what there is now. Returns 1 when there may be more, 0 when there is nothing
 * now, or never again: then the descriptor is closed. */
static int take(struct sink sink, struct sl_error *err)
{
    uint8_t part[PART_SIZE];
    ssize_t n = *sink.fd < 0 ? 0 : read(*sink.fd, part, sizeof(part));
    if (n == 0)
        close_fd(sink.fd);
    if (n == 0 || (n < 0 && errno == EAGAIN))
        return 0;
    if (n < 0)
        return errno == EINTR ? 1 : sl_error_system(err, errno, "read");
    int r = keep(&sink, (struct sl_span){part, (size_t)n}, err);
    sl_wipe(part, sizeof(part));
    return r < 0 ? r : 1;
}

/* Bounded, since a child that left the group may go on writing. */
static int take_rest(struct sink sink, struct sl_error *err)
{
    int r;
    do
        r = take(sink, err);
    while (r > 0 && (!sink.drops || sink.kept->len < sink.max));
    return r < 0 ? r : 0;
}

static int wait_any(struct run *run, struct pollfd *fds, nfds_t n, struct sl_error *err)
{
    for (;;) {
        int left = sl_clock_remaining_ms(run->ends);
        int ready = left ? poll(fds, n, left) : 0;
        if (ready > 0)
            return 0;
        if (ready == 0)
            return sl_error_set(err, SL_E_SYSTEM, ETIMEDOUT,
                                "did not answer in time (%d ms) and was killed",
                                run->what->deadline_ms);
        if (errno != EINTR)
            return sl_error_system(err, errno, "poll");
    }
}

/* One round. Returns 1 while it runs, 0 when it has ended. */
static int attend(struct run *run, struct sl_error *err)
{
    /* Those below 0 are passed over. */
    struct pollfd fds[] = {{.fd = run->pidfd, .events = POLLIN},
                           {.fd = run->in, .events = POLLOUT},
                           {.fd = run->out, .events = POLLIN},
                           {.fd = run->errors, .events = POLLIN},
                           sl_cancel_pollfd(run->what->cancel_fd)};
    int r = wait_any(run, fds, sizeof(fds) / sizeof(fds[0]), err);
    if (r == 0 && fds[4].revents)
        r = sl_cancel_error(err);
    if (r == 0 && fds[1].revents)
        r = send_input(run, err);
    if (r >= 0 && fds[2].revents)
        r = take(output_of(run), err);
    if (r >= 0 && fds[3].revents)
        r = take(errors_of(run), err);
    return r < 0 ? r : !fds[0].revents;
}

/* Its children go before it is collected: until then nobody else can have the number of its
 * group. Whatever it wrote itself lies in the pipes by now. */
static int collect(struct run *run, struct sl_error *err)
{
    (void)kill(-run->pid, SIGKILL);
    int r = take_rest(output_of(run), err);
    if (r == 0)
        r = take_rest(errors_of(run), err);
    if (r < 0)
        return r;
    if (waitpid(run->pid, &run->result.status, 0) < 0)
        return sl_error_system(err, errno, "waitpid");
    run->pid = 0;
    return 0;
}

static int run_to_end(struct run *run, struct sl_error *err)
{
    if (sl_cancel_is_asked(run->what->cancel_fd))
        return sl_cancel_error(err);
    int r = start(run, err);
    if (r < 0)
        return r;
    if (run->input.len == 0)
        close_fd(&run->in);
    do
        r = attend(run, err);
    while (r > 0);
    return r < 0 ? r : collect(run, err);
}

int sl_subprocess_run(const struct sl_subprocess *process, struct sl_subprocess_result *ret,
                      struct sl_error *err)
{
    SL_AUTO_DONE(run)
    run = {.what = process,
           .pidfd = -1,
           .in = -1,
           .out = -1,
           .errors = -1,
           .input = process->input,
           .ends = sl_clock_ms() + process->deadline_ms};
    int r = run_to_end(&run, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s", process->argv[0]);
    *ret = run.result;
    run.result = (struct sl_subprocess_result){0};
    return 0;
}

void sl_subprocess_result_done(struct sl_subprocess_result *result)
{
    sl_bytes_wipe(&result->output);
    sl_bytes_wipe(&result->errors);
    *result = (struct sl_subprocess_result){0};
}
