/* SPDX-License-Identifier: Apache-2.0 */
/* The helper is the operator's program, but it may hang, talk without end or leave children:
 * it runs in its own process group, under a deadline, with bounded output. */
#include "credential_helper.h"

#include "sluice/core/json.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    HELPER_DEADLINE_MS = 60 * 1000,
    HELPER_OUTPUT_MAX = 64 * 1024,
    HELPER_NAME_MAX = 64,
    SERVER_MAX = 1024,
};

extern char **environ;

struct helper {
    pid_t pid;    /* 0: not running */
    int fd;       /* our end of its stdin and stdout */
    int64_t ends; /* CLOCK_MONOTONIC, milliseconds */
};

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The name becomes part of a program's name. */
static bool is_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= HELPER_NAME_MAX && name[0] != '-' && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == len;
}

/* ---- the process ---- */

static int set_up_child(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attr, int fd)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int e = posix_spawn_file_actions_adddup2(actions, fd, STDIN_FILENO);
    if (!e)
        e = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
    if (!e)
        e = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
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

static int spawn(const char *program, int fd, pid_t *ret_pid)
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
    char *argv[] = {(char *)program, (char *)"get", NULL};
    e = set_up_child(&actions, &attr, fd);
    if (!e)
        e = posix_spawnp(ret_pid, program, &actions, &attr, argv, environ);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return e;
}

/* A socket pair instead of two pipes: a write to a helper that has gone gives an error
 * (MSG_NOSIGNAL), where a pipe would raise SIGPIPE in our process. */
static int helper_start(struct helper *h, const char *name, int deadline_ms, struct sl_error *err)
{
    int fds[2] = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return sl_error_system(err, errno, "socketpair");
    SL_AUTO_FD ours = fds[0];
    SL_AUTO_FD theirs = fds[1];
    SL_AUTO_FREE char *program = sl_strf("docker-credential-%s", name);
    if (!program)
        return sl_error_oom(err);
    int e = spawn(program, theirs, &h->pid);
    if (e == ENOENT)
        return sl_error_set(err, SL_E_AUTH, ENOENT,
                            "credential helper %s is not in PATH: install it, or remove it from "
                            "the auth file",
                            program);
    if (e)
        return sl_error_set(err, SL_E_AUTH, e, "cannot start credential helper %s: %s", program,
                            strerrordesc_np(e));
    h->fd = sl_steal_fd(&ours);
    h->ends = now_ms() + deadline_ms;
    return 0;
}

/* Kills the helper with all its children and collects it. */
static void helper_done(struct helper *h)
{
    int saved = errno;
    if (h->pid > 0) {
        (void)kill(-h->pid, SIGKILL);
        while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (h->fd >= 0)
        (void)close(h->fd);
    *h = (struct helper){.fd = -1};
    errno = saved;
}
SL_DEFINE_AUTO_DONE(helper, helper_done)

static int wait_for(const struct helper *h, int fd, short events, struct sl_error *err)
{
    for (;;) {
        int64_t left = h->ends - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = left > 0 ? poll(&p, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return sl_error_set(err, SL_E_AUTH, ETIMEDOUT, "did not answer in time");
        if (errno != EINTR)
            return sl_error_system(err, errno, "poll");
    }
}

static int send_server(const struct helper *h, const char *server, struct sl_error *err)
{
    for (size_t left = strlen(server); left > 0;) {
        int r = wait_for(h, h->fd, POLLOUT, err);
        if (r < 0)
            return r;
        ssize_t n = send(h->fd, server, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EPIPE)
            break; /* it needs no question to answer */
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return sl_error_system(err, errno, "send");
        if (n > 0) {
            server += n;
            left -= (size_t)n;
        }
    }
    (void)shutdown(h->fd, SHUT_WR);
    return 0;
}

static int receive_answer(const struct helper *h, struct sl_bytes *answer, struct sl_error *err)
{
    uint8_t part[4096];
    int r = 0;
    for (;;) {
        r = wait_for(h, h->fd, POLLIN, err);
        if (r < 0)
            break;
        ssize_t n = recv(h->fd, part, sizeof(part), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            r = sl_error_system(err, errno, "recv");
        else if (n > 0)
            r = sl_bytes_append(answer, (struct sl_span){part, (size_t)n}, HELPER_OUTPUT_MAX, err);
        if (r < 0)
            break;
    }
    sl_wipe(part, sizeof(part));
    return r;
}

/* Its output has ended, so it should be about to leave. Its children go before it is collected:
 * until then nobody else can have the number of its group. */
static int collect(struct helper *h, int *ret_status, struct sl_error *err)
{
    SL_AUTO_FD pidfd = pidfd_open(h->pid, 0);
    if (pidfd < 0)
        return sl_error_system(err, errno, "pidfd_open");
    int r = wait_for(h, pidfd, POLLIN, err);
    if (r < 0)
        return r;
    (void)kill(-h->pid, SIGKILL);
    if (waitpid(h->pid, ret_status, 0) < 0)
        return sl_error_system(err, errno, "waitpid");
    h->pid = 0;
    return 0;
}

/* ---- the protocol ---- */

static int read_failure(int status, const struct sl_bytes *answer, struct sl_error *err)
{
    const char *text = answer->data ? (const char *)answer->data : "";
    if (WIFSIGNALED(status))
        return sl_error_set(err, SL_E_AUTH, EACCES, "was killed by signal %d", WTERMSIG(status));
    if (strstr(text, "credentials not found"))
        return 0;
    /* An explanation is plain text; JSON may hold a secret. */
    return sl_error_set(err, SL_E_AUTH, EACCES, "failed with status %d: %.100s",
                        WEXITSTATUS(status), strchr(text, '{') ? "" : text);
}

static int read_answer(const struct sl_bytes *answer, struct sl_credentials *ret,
                       struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(sl_bytes_span(answer), "answer", NULL, &doc, err);
    if (r < 0)
        return r;
    const char *user = NULL, *secret = NULL;
    r = sl_json_need_string(sl_json_root(doc), "Username", &user, err);
    if (r >= 0)
        r = sl_json_need_string(sl_json_root(doc), "Secret", &secret, err);
    if (r < 0)
        return r;
    SL_AUTO_DONE(sl_credentials) found = {0};
    if (strcmp(user, "<token>") == 0) {
        found.identity_token = strdup(secret);
    } else {
        found.username = strdup(user);
        found.password = strdup(secret);
    }
    if (!found.identity_token && (!found.username || !found.password))
        return sl_error_oom(err);
    *ret = found;
    found = (struct sl_credentials){0};
    return 0;
}

static int ask(struct helper *h, const char *server, struct sl_credentials *ret,
               struct sl_error *err)
{
    struct sl_bytes answer = {0};
    int status = 0;
    int r = send_server(h, server, err);
    if (r == 0)
        r = receive_answer(h, &answer, err);
    if (r == 0)
        r = collect(h, &status, err);
    if (r == 0 && status == 0)
        r = read_answer(&answer, ret, err);
    else if (r == 0)
        r = read_failure(status, &answer, err);
    sl_bytes_wipe(&answer);
    return r;
}

int sl_credential_helper_get_within(const char *name, const char *server, int deadline_ms,
                                    struct sl_credentials *ret, struct sl_error *err)
{
    if (!is_name_ok(name))
        return sl_error_set(err, SL_E_FORMAT, EINVAL,
                            "\"%.64s\" is not the name of a credential helper: letters, digits "
                            "and ._- only",
                            name);
    if (strlen(server) > SERVER_MAX || strpbrk(server, "\r\n"))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "\"%.64s\" is not a registry", server);
    SL_AUTO_DONE(helper) h = {.fd = -1};
    int r = helper_start(&h, name, deadline_ms, err);
    if (r < 0)
        return r;
    r = ask(&h, server, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "credential helper docker-credential-%s", name) : 0;
}

int sl_credential_helper_get(const char *name, const char *server, struct sl_credentials *ret,
                             struct sl_error *err)
{
    return sl_credential_helper_get_within(name, server, HELPER_DEADLINE_MS, ret, err);
}
