/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include "sluice/core/clock.h"
#include "sluice/core/log.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 }; /* bytes that one peer may say before another is heard */

static void watch(struct sl_connection *c)
{
    bool is_blocked = c->out.len > 0;
    /* Who does not read his answers is not asked for more. */
    uint32_t events = is_blocked ? EPOLLOUT : c->is_ending ? 0 : EPOLLIN;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (c->fd < 0 || events == c->events)
        return;
    if (epoll_ctl(c->server->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        sl_connection_close(c);
    else
        c->events = events;
}

/* ---- who may go for another's sake ---- */

static void leave_queue(struct sl_connection *c)
{
    if (c->at)
        TAILQ_REMOVE(c->at, c, queue);
    c->at = NULL;
}

static void join_queue(struct sl_connection *c, struct sl_connections *queue)
{
    c->at = queue;
    TAILQ_INSERT_TAIL(queue, c, queue);
}

void sl_connection_begin_call(struct sl_connection *c)
{
    leave_queue(c);
    c->n_asked++;
    c->n_calls++;
}

void sl_connection_end_call(struct sl_connection *c)
{
    if (--c->n_calls == 0 && c->fd >= 0)
        join_queue(c, &c->listener->idle);
}

/* ---- limits ---- */

static void set_request_until(struct sl_connection *c, int64_t until)
{
    if (c->request_until)
        TAILQ_REMOVE(&c->server->partial, c, partial);
    if (until)
        TAILQ_INSERT_TAIL(&c->server->partial, c, partial);
    c->request_until = until;
}

static void set_stall_until(struct sl_connection *c, int64_t until)
{
    if (c->stall_until)
        TAILQ_REMOVE(&c->server->stalled, c, stalled);
    if (until)
        TAILQ_INSERT_TAIL(&c->server->stalled, c, stalled);
    c->stall_until = until;
}

static void set_held(struct sl_connection *c, size_t held)
{
    c->server->held_bytes += held - c->held;
    c->held = held;
}

static void set_unread(struct sl_connection *c, size_t unread)
{
    c->server->unread_bytes += unread - c->unread;
    c->unread = unread;
}

/* ---- beginning and end ---- */

void sl_connection_open(struct sl_rpc_server *server, struct sl_server_listener *listener, int fd)
{
    struct sl_error err = {0};
    struct sl_connection *c = calloc(1, sizeof(*c));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (c)
        c->server = server;
    if (c && listener->listener.wire->open(c, &c->wire, &err) == 0 &&
        epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0) {
        c->watch = SL_WATCH_CONNECTION;
        c->listener = listener;
        c->fd = fd;
        c->events = EPOLLIN;
        LIST_INSERT_HEAD(&server->connections, c, all);
        join_queue(c, &listener->silent);
        listener->n_connections++;
        server->n_connections++;
        return;
    }
    sl_log(SL_LOG_DEBUG, "rpc: a connection is dropped: %s", c ? err.msg : "out of memory");
    if (c && c->wire)
        c->wire->ops->close(c->wire);
    free(c);
    close(fd);
}

void sl_connection_close(struct sl_connection *c)
{
    if (c->fd < 0)
        return;
    /* close() alone would not do: a child between fork and exec may hold the socket for a while. */
    (void)epoll_ctl(c->server->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    c->fd = -1;
    leave_queue(c);
    set_request_until(c, 0);
    set_stall_until(c, 0);
    set_held(c, 0);
    set_unread(c, 0);
    struct sl_wire *wire = sl_steal(&c->wire);
    sl_calls_abandon(c, NULL);
    wire->ops->close(wire);
    c->listener->n_connections--;
    c->server->n_connections--;
    LIST_REMOVE(c, all);
    LIST_INSERT_HEAD(&c->server->closed, c, all);
}

void sl_connection_free(struct sl_connection *c)
{
    LIST_REMOVE(c, all);
    free(c);
}

static void fail(struct sl_connection *c, const struct sl_error *err)
{
    sl_log(SL_LOG_DEBUG, "rpc: a %s connection is closed: %s", c->wire->ops->name, err->msg);
    sl_connection_close(c);
}

static size_t pending(const struct sl_connection *c)
{
    const struct sl_wire_ops *ops = c->wire->ops;
    return ops->pending ? ops->pending(c->wire) : c->out.len;
}

static void note_sent(struct sl_connection *c, size_t n)
{
    c->out = (struct sl_span){c->out.data + n, c->out.len - n};
    set_stall_until(c, 0);
}

/* Also what the wire holds back, because its peer gives it no room, is waited for. */
static void note_blocked(struct sl_connection *c)
{
    set_unread(c, pending(c));
    if (c->out.len == 0 && c->unread == 0)
        set_stall_until(c, 0);
    else if (c->stall_until == 0)
        set_stall_until(c, sl_clock_ms() + c->server->limits.stall_ms);
}

/* False once the connection is closed. */
static bool send_output(struct sl_connection *c)
{
    struct sl_error err = {0};
    for (;;) {
        if (c->out.len == 0 && c->wire->ops->output(c->wire, &c->out, &err) < 0) {
            fail(c, &err);
            return false;
        }
        if (c->out.len == 0)
            break;
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            sl_connection_close(c);
            return false;
        }
        if (n < 0)
            break;
        note_sent(c, (size_t)n);
    }
    note_blocked(c);
    return true;
}

/* Closes what has come to its end, or whose peer leaves too much unread. */
static void check(struct sl_connection *c)
{
    bool is_greedy = c->unread > c->server->limits.unread_bytes;
    bool is_through = c->out.len == 0 && (c->is_ending || c->wire->ops->is_idle(c->wire));
    if (!is_greedy && !is_through)
        return;
    sl_log(SL_LOG_DEBUG, "rpc: a %s connection is closed: %s", c->wire->ops->name,
           is_through ? "it has come to its end" : "its peer does not read its answers");
    sl_connection_close(c);
}

/* What follows everything that may have changed the output. */
static void go_on(struct sl_connection *c)
{
    if (!send_output(c))
        return;
    watch(c);
    if (c->fd >= 0)
        check(c);
}

static void note_progress(struct sl_connection *c)
{
    const struct sl_wire_ops *ops = c->wire->ops;
    set_held(c, ops->held ? ops->held(c->wire) : 0);
    if (!ops->is_partial || !ops->is_partial(c->wire))
        set_request_until(c, 0);
    else if (!c->request_until)
        set_request_until(c, sl_clock_ms() + c->server->limits.request_ms);
}

static void receive(struct sl_connection *c)
{
    uint8_t bytes[READ_SIZE];
    struct sl_error err = {0};
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        sl_connection_close(c);
        return;
    }
    unsigned n_asked = c->n_asked;
    if (c->wire->ops->input(c->wire, (struct sl_span){bytes, (size_t)n}, &err) < 0) {
        sl_log(SL_LOG_DEBUG, "rpc: a %s connection ends: %s", c->wire->ops->name, err.msg);
        c->is_ending = true;
    }
    sl_wipe(bytes, (size_t)n);
    if (c->n_asked != n_asked)
        set_request_until(c, 0); /* what is partial now is another one */
    note_progress(c);
    go_on(c);
}

void sl_connection_handle(struct sl_connection *c, uint32_t events)
{
    if (c->fd < 0)
        return;
    if (events & EPOLLIN)
        receive(c);
    else if (events & (EPOLLHUP | EPOLLERR))
        sl_connection_close(c);
    else if (events & EPOLLOUT)
        go_on(c);
}

void sl_connection_answer(struct sl_connection *c, uint32_t stream,
                          const struct sl_wire_answer *answer)
{
    struct sl_error err = {0};
    if (c->fd < 0)
        return;
    if (c->wire->ops->answer(c->wire, stream, answer, &err) < 0) {
        fail(c, &err);
        return;
    }
    go_on(c);
}

void sl_connection_shut(struct sl_connection *c)
{
    if (c->fd < 0)
        return;
    if (c->wire->ops->shut)
        c->wire->ops->shut(c->wire);
    go_on(c);
}
