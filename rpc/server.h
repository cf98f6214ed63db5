/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the server: what server.c, connection.c and call.c share. Everything belongs to the
 * server's thread but what the lock guards.
 */
#pragma once

#include "connection.h"
#include "listener.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum {
    SL_SERVER_LISTENERS = 8,
};

/* What peers may cost us. */
struct sl_server_limits {
    unsigned connections;      /* of one listener: who floods one does not fill the others */
    unsigned all_connections;  /* what our share of the descriptors allows */
    unsigned calls;            /* in flight over all connections */
    unsigned connection_calls; /* in flight on one, also such as wait to be sent */
    size_t call_bytes;         /* of requests in flight over all connections */
    size_t held_bytes;         /* of requests that are not yet whole, over all connections */
    size_t unread_bytes;       /* of answers that one peer leaves unread */
    size_t all_unread_bytes;   /* that all leave unread */
    int request_ms;            /* from the first byte of a request to its last */
    int stall_ms;              /* without taking any of the bytes that wait for it */
};

/* Somebody who watches a call is being told that nobody waits for it. */
struct sl_notice {
    pthread_t thread;
    bool is_detached; /* it was answered meanwhile, or is watched anew, by the same thread */
};

struct sl_rpc_call {
    LIST_ENTRY(sl_rpc_call) all;
    STAILQ_ENTRY(sl_rpc_call) answered;
    struct sl_rpc_server *server;
    struct sl_connection *connection; /* NULL: nobody waits any more */
    uint32_t stream;
    const struct sl_rpc_service *service; /* NULL: none of ours */
    const char *service_name, *method;
    char *names; /* of a call that is none of ours: both */
    struct sl_bytes request;
    struct sl_pair *metadata;
    size_t n_metadata;
    int64_t deadline; /* 0: none */
    atomic_bool is_abandoned;
    struct sl_rpc_reply reply;
    /* Guarded by the server's lock. */
    void (*watch)(void *arg);
    void *watch_arg;
    struct sl_notice *notice; /* while watch() runs; on the stack of whom it is run by */
};

/* What an event is about; embedded first. */
enum sl_watch { SL_WATCH_WAKE, SL_WATCH_LISTENER, SL_WATCH_CONNECTION };

struct sl_connection {
    enum sl_watch watch;
    LIST_ENTRY(sl_connection) all;
    struct sl_rpc_server *server;
    struct sl_wire *wire;
    struct sl_server_listener *listener;
    int fd; /* -1: closed, and freed when the events at hand are through */
    uint32_t events;
    struct sl_span out; /* lent by the wire */
    bool is_ending;     /* reads no more, closes when all is sent */
    unsigned n_calls;
    unsigned n_asked;          /* calls it ever made; may wrap */
    size_t held, unread;       /* its shares of the server's */
    struct sl_connections *at; /* the queue it may be closed from for another's sake; or NULL */
    TAILQ_ENTRY(sl_connection) queue;
    /* All have the same time, so that the first to begin is the first to be late. */
    int64_t request_until; /* when the request that has begun must be complete; 0: none has */
    int64_t stall_until;   /* when some of the output must be taken; 0: there is none */
    TAILQ_ENTRY(sl_connection) partial, stalled; /* while there is such a time */
};

TAILQ_HEAD(sl_connections, sl_connection);

struct sl_server_listener {
    enum sl_watch watch;
    struct sl_listener listener;
    unsigned n_connections;
    /* Without a call under way, longest so first: never have had one, have had one. */
    struct sl_connections silent, idle;
};

struct sl_rpc_server {
    const struct sl_rpc_service *services;
    sl_rpc_handler_fn *handle_unknown;
    void *unknown_arg;
    struct sl_server_limits limits;
    struct sl_server_listener listeners[SL_SERVER_LISTENERS];
    size_t n_listeners;
    int epoll_fd, wake_fd;
    enum sl_watch watch; /* of wake_fd */
    bool allow_any_address;
    bool is_started;
    bool is_draining;
    pthread_t thread;
    LIST_HEAD(, sl_connection) connections, closed;
    unsigned n_connections;
    struct sl_connections partial, stalled;
    size_t held_bytes, unread_bytes;
    LIST_HEAD(, sl_rpc_call) calls;
    atomic_uint n_calls; /* that were not answered */
    size_t call_bytes;
    int64_t calls_at;        /* the next deadline of a call; INT64_MAX: none */
    int64_t accept_again_at; /* when listeners are looked at again; 0: they are */

    atomic_bool came_round; /* since somebody asked for it */
    pthread_mutex_t lock;
    pthread_cond_t noticed; /* a call's notice has ended */
    STAILQ_HEAD(, sl_rpc_call) answered;
    int64_t drain_until; /* 0: go on */
    bool is_over;        /* the thread has ended */
};

/* ---- server.c ---- */

/* The thread looks at the deadlines of calls at that time, or earlier. */
void sl_server_wake_at(struct sl_rpc_server *server, int64_t time);

/* The thread comes round. Any thread. */
void sl_server_wake(struct sl_rpc_server *server);

/* ---- connection.c ---- */

/* Takes the fd. */
void sl_connection_open(struct sl_rpc_server *server, struct sl_server_listener *listener, int fd);
void sl_connection_handle(struct sl_connection *connection, uint32_t events);
/* Hands an answer to the wire and sends what can be sent. */
void sl_connection_answer(struct sl_connection *connection, uint32_t stream,
                          const struct sl_wire_answer *answer);
/* Its peer has asked something; one of its calls is over. */
void sl_connection_begin_call(struct sl_connection *connection);
void sl_connection_end_call(struct sl_connection *connection);
/* No more requests. */
void sl_connection_shut(struct sl_connection *connection);
void sl_connection_close(struct sl_connection *connection);
/* Of a closed connection. */
void sl_connection_free(struct sl_connection *connection);

/* ---- call.c ---- */

/* Nobody waits for the calls of connection any more; with stream, for this one. */
void sl_calls_abandon(struct sl_connection *connection, const uint32_t *stream);
/* Sends what was answered meanwhile. */
void sl_calls_deliver(struct sl_rpc_server *server);
/* Refuses what has run out of time. */
void sl_calls_expire(struct sl_rpc_server *server, int64_t now);
/* The thread's last deed: from now on answers only free their calls. */
void sl_calls_end(struct sl_rpc_server *server);
void sl_call_free(struct sl_rpc_call *call);
