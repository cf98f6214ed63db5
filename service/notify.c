/* SPDX-License-Identifier: Apache-2.0 */
#include "notify.h"

#include "sluice/core/bytes.h"
#include "sluice/core/clock.h"
#include "sluice/core/environment.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { STATUS_MAX = 512, DATAGRAM_MAX = STATUS_MAX + 64 };

struct sl_notify {
    int fd; /* connected, or -1 */
    int64_t watchdog_ms;
    pthread_mutex_t lock; /* guards the status */
    char status[STATUS_MAX];
};

/* "/PATH", or "@NAME" of the abstract kind. */
static int connect_to(const char *address, struct sl_error *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t n = strlen(address);
    if ((address[0] != '/' && address[0] != '@') || !address[1] || n >= sizeof(name.sun_path))
        return sl_error_set(err, SL_E_UNSUPPORTED, EAFNOSUPPORT,
                            "NOTIFY_SOCKET=%s: is neither /PATH nor @NAME of a unix socket",
                            address);
    memcpy(name.sun_path, address, n);
    if (address[0] == '@')
        name.sun_path[0] = 0;
    SL_AUTO_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&name,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        return sl_error_system(err, errno, "NOTIFY_SOCKET=%s", address);
    return sl_steal_fd(&fd);
}

/* sd_watchdog_enabled(3) */
static int64_t watchdog_ms(void)
{
    const char *usec = sl_environment_get("WATCHDOG_USEC");
    const char *pid = sl_environment_get("WATCHDOG_PID");
    char *end = NULL;
    if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    errno = 0;
    long long us = strtoll(usec, &end, 10);
    return errno || *end || us <= 0 ? 0 : us / 1000;
}

static void leave_environment(void)
{
    /* NOLINTBEGIN(concurrency-mt-unsafe): before the first thread */
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    /* NOLINTEND(concurrency-mt-unsafe) */
}

int sl_notify_open(struct sl_notify **ret, struct sl_error *err)
{
    const char *address = sl_environment_get("NOTIFY_SOCKET");
    struct sl_notify *alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    alloc->fd = -1;
    pthread_mutex_init(&alloc->lock, NULL);
    SL_AUTO(sl_notify) n = alloc;
    if (address) {
        n->fd = connect_to(address, err);
        if (n->fd < 0)
            return n->fd;
        n->watchdog_ms = watchdog_ms();
    }
    leave_environment();
    *ret = sl_steal(&n);
    return 0;
}

struct sl_notify *sl_notify_close(struct sl_notify *n)
{
    if (!n)
        return NULL;
    if (n->fd >= 0)
        close(n->fd);
    pthread_mutex_destroy(&n->lock);
    free(n);
    return NULL;
}

int64_t sl_notify_watchdog_ms(const struct sl_notify *n)
{
    return n->watchdog_ms;
}

/* A manager that does not listen is no reason to fail. One that is slow is waited for: it is what
 * sd_notify() does. */
static void send_text(struct sl_notify *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void send_text(struct sl_notify *n, const char *fmt, ...)
{
    char text[DATAGRAM_MAX];
    va_list ap;
    if (n->fd < 0)
        return;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (len > 0 && (size_t)len < sizeof(text))
        (void)!send(n->fd, text, (size_t)len, MSG_NOSIGNAL);
}

void sl_notify_ready(struct sl_notify *n)
{
    send_text(n, "READY=1");
}

/* Type=notify-reload wants to know which reload is meant, by the time it began. */
void sl_notify_reloading(struct sl_notify *n)
{
    send_text(n, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, sl_clock_ns() / 1000);
}

void sl_notify_stopping(struct sl_notify *n, int64_t ms)
{
    send_text(n, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
}

void sl_notify_alive(struct sl_notify *n)
{
    send_text(n, "WATCHDOG=1");
}

void sl_notify_status(struct sl_notify *n, const char *text)
{
    char status[STATUS_MAX];
    (void)snprintf(status, sizeof(status), "%s", text);
    for (char *p = status; (p = strchr(p, '\n'));)
        *p = ' ';
    pthread_mutex_lock(&n->lock);
    bool is_new = strcmp(n->status, status) != 0;
    memcpy(n->status, status, sizeof(status));
    pthread_mutex_unlock(&n->lock);
    if (is_new)
        send_text(n, "STATUS=%s", status);
}
