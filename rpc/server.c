/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that serves: what it sleeps for, and in which order things happen when it wakes. */
#include "server.h"

#include "sluice/core/clock.h"
#include "sluice/core/log.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    CONNECTIONS_DEFAULT = 256, /* of one listener */
    DESCRIPTORS_SHARE = 2,     /* one in two may be a connection */
    CALLS_DEFAULT = 1024,
    CONNECTION_CALLS_DEFAULT = 256,
    CALL_BYTES_MAX = 64 * 1024 * 1024,  /* of requests in flight, together */
    HELD_BYTES_MAX = 64 * 1024 * 1024,  /* of requests that are not yet whole, together */
    UNREAD_BYTES_MAX = 8 * 1024 * 1024, /* of answers that a peer does not read */
    ALL_UNREAD_BYTES_MAX = 16 * 1024 * 1024,
    REQUEST_MS_MAX = 10000, /* for all bytes of a request */
    STALL_MS_MAX = 30000,   /* until a peer takes some of its answers */
    ACCEPT_PAUSE_MS = 200,  /* when there are no descriptors left */
    EVENTS = 64,            /* looked at before answers are */
    ACCEPTS = 16,           /* connections taken before anybody is heard */
};

static int watch(struct sl_rpc_server *server, int fd, void *tag, struct sl_error *err)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = tag};
    if (epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return sl_error_system(err, errno, "cannot watch a socket");
    return 0;
}

static int open_fds(struct sl_rpc_server *server, struct sl_error *err)
{
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->epoll_fd < 0 || server->wake_fd < 0)
        return sl_error_system(err, errno, "cannot make the descriptors of a server");
    return watch(server, server->wake_fd, &server->watch, err);
}

static unsigned all_connections(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / DESCRIPTORS_SHARE > UINT_MAX)
        return UINT_MAX;
    return (unsigned)(limit.rlim_cur / DESCRIPTORS_SHARE);
}

static void set_limits(struct sl_rpc_server *server, const struct sl_rpc_server_options *options)
{
    server->limits = (struct sl_server_limits){
        .connections = options->max_connections ? options->max_connections : CONNECTIONS_DEFAULT,
        .all_connections = all_connections(),
        .calls = options->max_calls ? options->max_calls : CALLS_DEFAULT,
        .connection_calls = options->max_connection_calls ? options->max_connection_calls
                                                          : CONNECTION_CALLS_DEFAULT,
        .call_bytes = CALL_BYTES_MAX,
        .held_bytes = HELD_BYTES_MAX,
        .unread_bytes = UNREAD_BYTES_MAX,
        .all_unread_bytes = ALL_UNREAD_BYTES_MAX,
        .request_ms = REQUEST_MS_MAX,
        .stall_ms = STALL_MS_MAX,
    };
}

int sl_rpc_server_new(const struct sl_rpc_server_options *options, struct sl_rpc_server **ret,
                      struct sl_error *err)
{
    SL_AUTO(sl_rpc_server) server = calloc(1, sizeof(*server));
    if (!server)
        return sl_error_oom(err);
    server->services = options->services;
    server->handle_unknown = options->handle_unknown;
    server->unknown_arg = options->unknown_arg;
    server->allow_any_address = options->allow_any_address;
    set_limits(server, options);
    server->watch = SL_WATCH_WAKE;
    server->calls_at = INT64_MAX;
    LIST_INIT(&server->connections);
    LIST_INIT(&server->closed);
    TAILQ_INIT(&server->partial);
    TAILQ_INIT(&server->stalled);
    LIST_INIT(&server->calls);
    STAILQ_INIT(&server->answered);
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->noticed, NULL);
    int r = open_fds(server, err);
    if (r == 0)
        *ret = sl_steal(&server);
    return r;
}

int sl_rpc_server_listen(struct sl_rpc_server *server, const char *address, char **ret_address,
                         struct sl_error *err)
{
    struct sl_server_listener *place = &server->listeners[server->n_listeners];
    struct sl_listener listener;
    if (server->n_listeners == SL_SERVER_LISTENERS)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: a server listens on at most %d addresses",
                            address, SL_SERVER_LISTENERS);
    int r = sl_listener_open(address, server->allow_any_address, &listener, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *real = sl_listener_address(&listener);
    r = real ? watch(server, listener.fd, place, err) : sl_error_oom(err);
    if (r < 0) {
        sl_listener_close(&listener);
        return r;
    }
    *place = (struct sl_server_listener){.watch = SL_WATCH_LISTENER, .listener = listener};
    TAILQ_INIT(&place->silent);
    TAILQ_INIT(&place->idle);
    server->n_listeners++;
    if (ret_address)
        *ret_address = sl_steal(&real);
    return 0;
}

void sl_server_wake_at(struct sl_rpc_server *server, int64_t time)
{
    if (time < server->calls_at)
        server->calls_at = time;
}

/* ---- accepting ---- */

static void watch_listeners(struct sl_rpc_server *server, uint32_t events)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        struct epoll_event event = {.events = events, .data.ptr = &server->listeners[i]};
        (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_MOD, server->listeners[i].listener.fd, &event);
    }
}

static void pause_accepting(struct sl_rpc_server *server)
{
    watch_listeners(server, 0);
    server->accept_again_at = sl_clock_ms() + ACCEPT_PAUSE_MS;
}

/* Who never asked anything goes first, then who asks nothing now; longest so first. */
static bool close_one(struct sl_server_listener *listener)
{
    struct sl_connection *c = TAILQ_FIRST(&listener->silent);
    if (!c)
        c = TAILQ_FIRST(&listener->idle);
    if (c)
        sl_connection_close(c);
    return c;
}

static struct sl_server_listener *fullest(struct sl_rpc_server *server)
{
    struct sl_server_listener *most = &server->listeners[0];
    for (size_t i = 1; i < server->n_listeners; i++)
        if (server->listeners[i].n_connections > most->n_connections)
            most = &server->listeners[i];
    return most;
}

/* The listener that has to give way to one more connection of listener; NULL: there is room. */
static struct sl_server_listener *must_give_way(struct sl_rpc_server *server,
                                                struct sl_server_listener *listener)
{
    if (listener->n_connections >= server->limits.connections)
        return listener;
    return server->n_connections >= server->limits.all_connections ? fullest(server) : NULL;
}

static bool is_shortage(int errnum)
{
    return errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS || errnum == ENOMEM;
}

/* Without a descriptor accept() fails before it looks whether anybody waits. */
static bool is_waited_for(const struct sl_server_listener *listener)
{
    struct pollfd p = {.fd = listener->listener.fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* False when that was all for now: after one had to go for another, all are heard first. */
static bool accept_one(struct sl_rpc_server *server, struct sl_server_listener *listener)
{
    int fd = sl_listener_accept(&listener->listener);
    if (fd < 0) {
        if (is_shortage(-fd) && is_waited_for(listener) && !close_one(fullest(server)))
            pause_accepting(server);
        return false;
    }
    struct sl_server_listener *full = must_give_way(server, listener);
    if (!full || close_one(full))
        sl_connection_open(server, listener, fd);
    else
        close(fd);
    return !full;
}

static void accept_some(struct sl_rpc_server *server, struct sl_server_listener *listener)
{
    for (int i = 0; i < ACCEPTS && accept_one(server, listener); i++)
        continue;
}

/* ---- the thread ---- */

static void handle(struct sl_rpc_server *server, const struct epoll_event *event)
{
    enum sl_watch watch = *(enum sl_watch *)event->data.ptr;
    uint64_t count;
    if (watch == SL_WATCH_WAKE)
        (void)!read(server->wake_fd, &count, sizeof(count));
    else if (watch == SL_WATCH_LISTENER)
        accept_some(server, event->data.ptr);
    else
        sl_connection_handle(event->data.ptr, event->events);
}

static void close_listeners(struct sl_rpc_server *server)
{
    for (size_t i = 0; i < server->n_listeners; i++) {
        struct sl_listener *listener = &server->listeners[i].listener;
        (void)epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
        sl_listener_close(listener);
    }
    server->n_listeners = 0;
}

static int64_t drain_until(struct sl_rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    int64_t until = server->drain_until;
    pthread_mutex_unlock(&server->lock);
    return until;
}

/* False when the thread has come to its end. */
static bool is_wanted(struct sl_rpc_server *server)
{
    int64_t until = drain_until(server);
    if (!until)
        return true;
    if (!server->is_draining) {
        server->is_draining = true;
        close_listeners(server);
        for (struct sl_connection *c = LIST_FIRST(&server->connections), *next; c; c = next) {
            next = LIST_NEXT(c, all); /* closes at most itself */
            sl_connection_shut(c);
        }
    }
    return server->n_connections > 0 && sl_clock_ms() < until;
}

static void cut_off(struct sl_connection *c, const char *why)
{
    sl_log(SL_LOG_DEBUG, "rpc: a %s connection is closed: %s", c->wire->ops->name, why);
    sl_connection_close(c);
}

/* Whoever has taken longest goes first, for his lateness or for what all hold together. */
static void check_peers(struct sl_rpc_server *server, int64_t now)
{
    const struct sl_server_limits *limits = &server->limits;
    struct sl_connection *c;
    while ((c = TAILQ_FIRST(&server->partial)) && now >= c->request_until)
        cut_off(c, "its peer is too slow with a request");
    while ((c = TAILQ_FIRST(&server->stalled)) && now >= c->stall_until)
        cut_off(c, "its peer is too slow with our answers");
    while (server->held_bytes > limits->held_bytes && (c = TAILQ_FIRST(&server->partial)))
        cut_off(c, "too many bytes of requests are not yet whole");
    while (server->unread_bytes > limits->all_unread_bytes && (c = TAILQ_FIRST(&server->stalled)))
        cut_off(c, "too many bytes of answers are not read");
}

static void check_listeners(struct sl_rpc_server *server, int64_t now)
{
    if (!server->accept_again_at || now < server->accept_again_at)
        return;
    server->accept_again_at = 0;
    watch_listeners(server, EPOLLIN);
}

/* No event at hand speaks of closed connections any more. */
static void bury(struct sl_rpc_server *server)
{
    while (!LIST_EMPTY(&server->closed))
        sl_connection_free(LIST_FIRST(&server->closed));
}

static int64_t earlier(int64_t time, int64_t other)
{
    return other && other < time ? other : time;
}

/* For epoll_wait(): what has no limit of time costs no waking. */
static int timeout(struct sl_rpc_server *server)
{
    const struct sl_connection *partial = TAILQ_FIRST(&server->partial);
    const struct sl_connection *stalled = TAILQ_FIRST(&server->stalled);
    int64_t next = earlier(server->calls_at, server->accept_again_at);
    next = earlier(next, partial ? partial->request_until : 0);
    next = earlier(next, stalled ? stalled->stall_until : 0);
    next = earlier(next, drain_until(server));
    return next == INT64_MAX ? -1 : sl_clock_remaining_ms(next);
}

static void come_round(struct sl_rpc_server *server)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(server->epoll_fd, events, EVENTS, timeout(server));
    atomic_store(&server->came_round, true);
    for (int i = 0; i < n; i++)
        handle(server, &events[i]);
    sl_calls_deliver(server);
    int64_t now = sl_clock_ms();
    sl_calls_expire(server, now);
    check_peers(server, now);
    check_listeners(server, now);
    bury(server);
}

static void *serve(void *arg)
{
    struct sl_rpc_server *server = arg;
    while (is_wanted(server))
        come_round(server);
    close_listeners(server);
    while (!LIST_EMPTY(&server->connections))
        sl_connection_close(LIST_FIRST(&server->connections));
    bury(server);
    sl_calls_end(server);
    return NULL;
}

int sl_rpc_server_start(struct sl_rpc_server *server, struct sl_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    atomic_store(&server->came_round,
                 true); /* who asks at once is not to wait for its first turn */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&server->thread, NULL, serve, server);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0)
        return sl_error_system(err, r, "cannot start the server's thread");
    server->is_started = true;
    return 0;
}

void sl_server_wake(struct sl_rpc_server *server)
{
    static const uint64_t one = 1;
    (void)!write(server->wake_fd, &one, sizeof(one));
}

bool sl_rpc_server_is_alive(struct sl_rpc_server *server)
{
    bool came_round = atomic_exchange(&server->came_round, false);
    sl_server_wake(server);
    return came_round;
}

void sl_rpc_server_stop(struct sl_rpc_server *server, int drain_ms)
{
    if (!server->is_started) {
        close_listeners(server);
        return;
    }
    pthread_mutex_lock(&server->lock);
    server->drain_until = sl_clock_ms() + drain_ms;
    pthread_mutex_unlock(&server->lock);
    sl_server_wake(server);
    pthread_join(server->thread, NULL);
    server->is_started = false;
}

struct sl_rpc_server *sl_rpc_server_free(struct sl_rpc_server *server)
{
    if (!server)
        return NULL;
    int saved = errno;
    sl_rpc_server_stop(server, /* drain_ms= */ 0);
    /* An answer may have been on its way out of the lock. */
    pthread_mutex_lock(&server->lock);
    pthread_mutex_unlock(&server->lock);
    while (!LIST_EMPTY(&server->calls))
        sl_call_free(LIST_FIRST(&server->calls));
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    pthread_cond_destroy(&server->noticed);
    pthread_mutex_destroy(&server->lock);
    free(server);
    errno = saved;
    return NULL;
}
