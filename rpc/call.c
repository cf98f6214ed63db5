/* SPDX-License-Identifier: Apache-2.0 */
/* A call: made by a wire on the server's thread, answered by anybody, delivered by the server's
 * thread. Whoever answers touches nothing of the call but its answer and the queue. */
#include "server.h"

#include "sluice/core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    METADATA_BYTES_MAX = 16 * 1024, /* of names and values of a request */
    NAME_MAX_BYTES = 1024,          /* of a service or method that is passed on */
    NAME_QUOTED_MAX = 100,          /* of one that is refused, in the refusal */
};

void sl_call_free(struct sl_rpc_call *call)
{
    call->server->call_bytes -= call->request.len;
    if (call->connection)
        sl_connection_end_call(call->connection);
    LIST_REMOVE(call, all);
    for (size_t i = 0; i < call->n_metadata; i++) {
        free(call->metadata[i].name);
        sl_secret_free(call->metadata[i].value);
    }
    free(call->metadata);
    free(call->names);
    sl_bytes_wipe(&call->request);
    sl_rpc_reply_done(&call->reply);
    free(call);
}

/* ---- asking: the server's thread ---- */

static bool is_text(struct sl_span span, const char *text)
{
    return strlen(text) == span.len && (span.len == 0 || memcmp(text, span.data, span.len) == 0);
}

static const struct sl_rpc_service *find_service(const struct sl_rpc_server *server,
                                                 struct sl_span name)
{
    for (const struct sl_rpc_service *s = server->services; s->name; s++)
        if (is_text(name, s->name))
            return s;
    return NULL;
}

static const char *find_method(const struct sl_rpc_service *service, struct sl_span name)
{
    for (const char *const *m = service->methods; *m; m++)
        if (is_text(name, *m))
            return *m;
    return NULL;
}

static int copy_metadata(struct sl_rpc_call *call, const struct sl_wire_request *request,
                         struct sl_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < request->n_metadata; i++)
        total += strlen(request->metadata[i].name) + strlen(request->metadata[i].value);
    if (total > METADATA_BYTES_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "too many bytes of metadata");
    if (request->n_metadata)
        call->metadata = calloc(request->n_metadata, sizeof(*call->metadata));
    if (request->n_metadata && !call->metadata)
        return sl_error_oom(err);
    for (size_t i = 0; i < request->n_metadata; i++) {
        struct sl_pair *pair = &call->metadata[call->n_metadata++];
        pair->name = strdup(request->metadata[i].name);
        pair->value = strdup(request->metadata[i].value);
        if (!pair->name || !pair->value)
            return sl_error_oom(err);
    }
    return 0;
}

static void set_deadline(struct sl_rpc_call *call, int64_t timeout_ns)
{
    if (timeout_ns <= 0)
        return;
    call->deadline = sl_clock_ms() + timeout_ns / 1000000 + 1;
    sl_server_wake_at(call->server, call->deadline);
}

/* A call that is in the lists but nobody knows yet. */
static struct sl_rpc_call *new_call(struct sl_connection *connection,
                                    const struct sl_wire_request *request)
{
    struct sl_rpc_server *server = connection->server;
    struct sl_rpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->server = server;
    call->connection = connection;
    call->stream = request->stream;
    LIST_INSERT_HEAD(&server->calls, call, all);
    sl_connection_begin_call(connection);
    atomic_fetch_add(&server->n_calls, 1);
    return call;
}

/* What the limits say: OK, or the status to refuse with and why. */
static enum sl_rpc_status admit(const struct sl_connection *connection,
                                const struct sl_wire_request *request, const char **ret_why)
{
    const struct sl_rpc_server *server = connection->server;
    if (server->is_draining) {
        *ret_why = "the server is stopping";
        return SL_RPC_UNAVAILABLE;
    }
    if (atomic_load(&server->n_calls) > server->limits.calls) {
        *ret_why = "too many calls in flight";
        return SL_RPC_RESOURCE_EXHAUSTED;
    }
    if (connection->n_calls > server->limits.connection_calls) {
        *ret_why = "too many calls in flight on this connection";
        return SL_RPC_RESOURCE_EXHAUSTED;
    }
    if (request->message.len > server->limits.call_bytes - server->call_bytes) {
        *ret_why = "too many bytes of requests in flight";
        return SL_RPC_RESOURCE_EXHAUSTED;
    }
    return SL_RPC_OK;
}

static int take_request(struct sl_rpc_call *call, const struct sl_wire_request *request,
                        struct sl_error *err)
{
    int r = copy_metadata(call, request, err);
    if (r < 0)
        return r;
    r = sl_bytes_append(&call->request, request->message, SL_RPC_MESSAGE_MAX, err);
    if (r < 0)
        return r;
    call->server->call_bytes += call->request.len;
    set_deadline(call, request->timeout_ns);
    return 0;
}

/* What a client calls a thing, in a text that any reader of UTF-8 takes. */
static const char *quote(struct sl_span name, char out[NAME_QUOTED_MAX + 1])
{
    size_t n = name.len > NAME_QUOTED_MAX ? NAME_QUOTED_MAX : name.len;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(name.data[i] >= ' ' && name.data[i] <= '~' ? name.data[i] : '?');
    out[n] = 0;
    return out;
}

/* The status is containerd's and gRPC's, on which their clients act; the text is that of
 * ttrpc-rust, which kata's agent is made with, and whose own status would be INVALID_ARGUMENT. */
static void refuse_unknown(struct sl_rpc_call *call, const struct sl_wire_request *request)
{
    char text[256], name[NAME_QUOTED_MAX + 1];
    if (call->service)
        snprintf(text, sizeof(text), "unknown method %s for service %s",
                 quote(request->method, name), call->service->name);
    else
        snprintf(text, sizeof(text), "%s service does not exist", quote(request->service, name));
    sl_rpc_call_refuse(call, SL_RPC_UNIMPLEMENTED, text);
}

static bool is_name(struct sl_span name)
{
    return name.len > 0 && name.len <= NAME_MAX_BYTES && !memchr(name.data, 0, name.len);
}

static int copy_names(struct sl_rpc_call *call, const struct sl_wire_request *request,
                      struct sl_error *err)
{
    size_t n = request->service.len, m = request->method.len;
    call->names = calloc(1, n + m + 2);
    if (!call->names)
        return sl_error_oom(err);
    memcpy(call->names, request->service.data, n);
    memcpy(call->names + n + 1, request->method.data, m);
    call->service_name = call->names;
    call->method = call->names + n + 1;
    return 0;
}

/* Whose the call is, or that it is nobody's. */
static sl_rpc_handler_fn *find_handler(struct sl_rpc_call *call,
                                       const struct sl_wire_request *request, void **ret_arg,
                                       struct sl_error *err)
{
    const struct sl_rpc_server *server = call->server;
    call->service = find_service(server, request->service);
    call->method = call->service ? find_method(call->service, request->method) : NULL;
    if (call->method) {
        call->service_name = call->service->name;
        *ret_arg = call->service->arg;
        return call->service->handle;
    }
    if (!server->handle_unknown || !is_name(request->service) || !is_name(request->method)) {
        refuse_unknown(call, request);
        return NULL;
    }
    if (copy_names(call, request, err) < 0) {
        sl_rpc_call_refuse(call, SL_RPC_RESOURCE_EXHAUSTED, err->msg);
        return NULL;
    }
    *ret_arg = server->unknown_arg;
    return server->handle_unknown;
}

static void dispatch(struct sl_rpc_call *call, const struct sl_wire_request *request)
{
    struct sl_error err = {0};
    const char *why = NULL;
    void *arg = NULL;
    enum sl_rpc_status status = admit(call->connection, request, &why);
    if (status != SL_RPC_OK) {
        sl_rpc_call_refuse(call, status, why);
        return;
    }
    sl_rpc_handler_fn *handle = find_handler(call, request, &arg, &err);
    if (handle && take_request(call, request, &err) < 0) {
        sl_rpc_call_refuse(call, SL_RPC_RESOURCE_EXHAUSTED, err.msg);
        return;
    }
    if (handle)
        handle(arg, call);
}

int sl_connection_call(struct sl_connection *connection, const struct sl_wire_request *request,
                       struct sl_error *err)
{
    struct sl_rpc_call *call = new_call(connection, request);
    if (!call)
        return sl_error_oom(err);
    dispatch(call, request);
    return 0;
}

/* What is said on the connection from now on is not about this call. */
static struct sl_connection *detach(struct sl_rpc_call *call)
{
    struct sl_connection *connection = sl_steal(&call->connection);
    sl_connection_end_call(connection);
    return connection;
}

/* Tells who watches, once. The lock is held, and given up meanwhile; the call may be gone then. */
static void notify(struct sl_rpc_call *call)
{
    struct sl_rpc_server *server = call->server;
    struct sl_notice notice = {.thread = pthread_self()};
    void (*watch)(void *arg) = sl_steal(&call->watch);
    void *arg = call->watch_arg;
    if (!watch)
        return;
    call->notice = &notice;
    pthread_mutex_unlock(&server->lock);
    watch(arg);
    pthread_mutex_lock(&server->lock);
    if (notice.is_detached)
        return;
    call->notice = NULL;
    pthread_cond_broadcast(&server->noticed);
}

/* Nobody watches any more, and nobody is being told, but by the caller himself. The lock is held.
 */
static void end_watch(struct sl_rpc_call *call)
{
    call->watch = NULL;
    if (call->notice && pthread_equal(call->notice->thread, pthread_self())) {
        call->notice->is_detached = true;
        call->notice = NULL;
    }
    while (call->notice)
        pthread_cond_wait(&call->server->noticed, &call->server->lock);
}

static void forget(struct sl_rpc_call *call)
{
    (void)detach(call);
    pthread_mutex_lock(&call->server->lock);
    atomic_store(&call->is_abandoned, true);
    struct sl_rpc_server *server = call->server;
    notify(call);
    pthread_mutex_unlock(&server->lock);
}

void sl_calls_abandon(struct sl_connection *connection, const uint32_t *stream)
{
    struct sl_rpc_call *call;
    if (connection->n_calls == 0)
        return;
    LIST_FOREACH(call, &connection->server->calls, all)
    if (call->connection == connection && (!stream || call->stream == *stream))
        forget(call);
}

void sl_connection_abandon(struct sl_connection *connection, uint32_t stream)
{
    sl_calls_abandon(connection, &stream);
}

void sl_calls_expire(struct sl_rpc_server *server, int64_t now)
{
    const struct sl_wire_answer late = {.status = SL_RPC_DEADLINE_EXCEEDED,
                                        .text = sl_span_of("there was no answer in time")};
    struct sl_rpc_call *call;
    if (now < server->calls_at)
        return;
    server->calls_at = INT64_MAX;
    LIST_FOREACH(call, &server->calls, all)
    {
        struct sl_connection *connection = call->connection;
        if (!connection || !call->deadline)
            continue;
        if (call->deadline > now) {
            sl_server_wake_at(server, call->deadline);
            continue;
        }
        forget(call);
        sl_connection_answer(connection, call->stream, &late);
    }
}

void sl_calls_deliver(struct sl_rpc_server *server)
{
    STAILQ_HEAD(, sl_rpc_call) answered = STAILQ_HEAD_INITIALIZER(answered);
    pthread_mutex_lock(&server->lock);
    STAILQ_CONCAT(&answered, &server->answered);
    pthread_mutex_unlock(&server->lock);
    struct sl_rpc_call *call;
    while ((call = STAILQ_FIRST(&answered))) {
        STAILQ_REMOVE_HEAD(&answered, answered);
        const struct sl_wire_answer answer = {
            .status = call->reply.status,
            .message = sl_bytes_span(&call->reply.message),
            .text = sl_bytes_span(&call->reply.text),
            .details = sl_bytes_span(&call->reply.details),
        };
        /* Detached first: the last answer may end a connection that is shut. */
        if (call->connection)
            sl_connection_answer(detach(call), call->stream, &answer);
        sl_call_free(call);
    }
}

void sl_calls_end(struct sl_rpc_server *server)
{
    struct sl_rpc_call *call;
    pthread_mutex_lock(&server->lock);
    while ((call = STAILQ_FIRST(&server->answered))) {
        STAILQ_REMOVE_HEAD(&server->answered, answered);
        sl_call_free(call);
    }
    server->is_over = true;
    pthread_mutex_unlock(&server->lock);
}

/* ---- answering: any thread ---- */

const char *sl_rpc_call_service(const struct sl_rpc_call *call)
{
    return call->service_name;
}

const char *sl_rpc_call_method(const struct sl_rpc_call *call)
{
    return call->method;
}

struct sl_span sl_rpc_call_request(const struct sl_rpc_call *call)
{
    return sl_bytes_span(&call->request);
}

const char *sl_rpc_call_metadata(const struct sl_rpc_call *call, const char *name)
{
    for (size_t i = 0; i < call->n_metadata; i++)
        if (strcasecmp(call->metadata[i].name, name) == 0)
            return call->metadata[i].value;
    return NULL;
}

int64_t sl_rpc_call_deadline(const struct sl_rpc_call *call)
{
    return call->deadline;
}

bool sl_rpc_call_is_abandoned(const struct sl_rpc_call *call)
{
    return atomic_load(&call->is_abandoned) || (call->deadline && sl_clock_ms() >= call->deadline);
}

void sl_rpc_call_watch(struct sl_rpc_call *call, void (*fn)(void *arg), void *arg)
{
    struct sl_rpc_server *server = call->server;
    pthread_mutex_lock(&server->lock);
    end_watch(call);
    call->watch = fn;
    call->watch_arg = arg;
    if (atomic_load(&call->is_abandoned))
        notify(call);
    pthread_mutex_unlock(&server->lock);
}

static int copy_answer(const struct sl_wire_answer *from, struct sl_rpc_reply *to)
{
    int r = sl_bytes_append(&to->message, from->message, SL_RPC_MESSAGE_MAX, NULL);
    if (r == 0)
        r = sl_bytes_append(&to->text, from->text, SL_RPC_MESSAGE_MAX, NULL);
    if (r == 0)
        r = sl_bytes_append(&to->details, from->details, SL_RPC_MESSAGE_MAX, NULL);
    to->status = from->status;
    return r;
}

static void hand_over(struct sl_rpc_call *call, const struct sl_wire_answer *answer)
{
    struct sl_rpc_server *server = call->server;
    if (copy_answer(answer, &call->reply) < 0) {
        sl_rpc_reply_done(&call->reply);
        call->reply.status = SL_RPC_RESOURCE_EXHAUSTED;
    }
    atomic_fetch_sub(&server->n_calls, 1);
    pthread_mutex_lock(&server->lock);
    end_watch(call);
    if (server->is_over) {
        sl_call_free(call);
    } else {
        bool is_first = STAILQ_EMPTY(&server->answered);
        STAILQ_INSERT_TAIL(&server->answered, call, answered);
        if (is_first)
            sl_server_wake(server);
    }
    pthread_mutex_unlock(&server->lock);
}

void sl_rpc_call_answer(struct sl_rpc_call *call, struct sl_span message)
{
    hand_over(call, &(struct sl_wire_answer){.message = message});
}

void sl_rpc_call_refuse(struct sl_rpc_call *call, enum sl_rpc_status status, const char *message)
{
    const struct sl_wire_answer refusal = {
        .status = status == SL_RPC_OK ? SL_RPC_UNKNOWN : (int)status,
        .text = sl_span_of(message ? message : ""),
    };
    hand_over(call, &refusal);
}

void sl_rpc_call_relay(struct sl_rpc_call *call, const struct sl_rpc_reply *reply)
{
    const struct sl_wire_answer answer = {
        .status = reply->status,
        .message = sl_bytes_span(&reply->message),
        .text = sl_bytes_span(&reply->text),
        .details = sl_bytes_span(&reply->details),
    };
    hand_over(call, &answer);
}
