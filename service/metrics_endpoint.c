/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics_endpoint.h"

#include "sluice/plain_listener.h"

#include <microhttpd.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 16,
    TIMEOUT_S = 10,           /* of a silent connection */
    REQUEST_BYTES_MAX = 4096, /* a connection's memory: its request's head, its answer's */
    STACK_BYTES = 256 * 1024,
};

struct sl_metrics_endpoint {
    struct sl_metrics_endpoint_options options;
    struct sl_plain_listener *listener;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct sl_bytes *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO; /* closes the connection */
    *body = (struct sl_bytes){0};
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result r = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return r;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status,
                                   const char *text)
{
    SL_AUTO_DONE(sl_bytes) body = {0};
    if (sl_bytes_append(&body, sl_span_of(text), strlen(text), NULL) < 0)
        return MHD_NO;
    return answer(connection, status, "text/plain; charset=utf-8", &body);
}

static enum MHD_Result answer_metrics(const struct sl_metrics_endpoint *e,
                                      struct MHD_Connection *connection)
{
    SL_AUTO_DONE(sl_bytes) body = {0};
    if (e->options.metrics(e->options.arg, &body, NULL) < 0)
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    const struct sl_metrics_endpoint *e = arg;
    (void)version, (void)upload, (void)state;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    *upload_size = 0;
    if (strcmp(path, "/metrics") == 0)
        return answer_metrics(e, connection);
    if (strcmp(path, "/healthz") != 0)
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz\n");
    return e->options.is_healthy(e->options.arg)
               ? answer_text(connection, MHD_HTTP_OK, "ok\n")
               : answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "ending\n");
}

/* What the library has to say of its peers' requests is no business of the log. */
static void drop_message(void *arg, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));
static void drop_message(void *arg, const char *fmt, va_list ap)
{
    (void)arg, (void)fmt, (void)ap;
}

static int start(struct sl_metrics_endpoint *e, struct sl_error *err)
{
    int fd = sl_plain_listener_take_fd(e->listener);
    e->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_USE_ITC | MHD_USE_ERROR_LOG,
        /* port= */ 0, /* accept policy= */ NULL, NULL, handle, e,
        /* first, so that it hears of all others */
        MHD_OPTION_EXTERNAL_LOGGER, drop_message, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
    if (e->daemon)
        return 0;
    close(fd);
    return sl_error_set(err, SL_E_SYSTEM, EIO, "%s: cannot start the thread of metrics",
                        e->options.address);
}

int sl_metrics_endpoint_start(const struct sl_metrics_endpoint_options *options,
                              struct sl_metrics_endpoint **ret, char **ret_address,
                              struct sl_error *err)
{
    SL_AUTO(sl_metrics_endpoint) e = calloc(1, sizeof(*e));
    if (!e)
        return sl_error_oom(err);
    e->options = *options;
    int r = sl_plain_listener_open(options->address, &e->listener, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *address = sl_plain_listener_address(e->listener);
    r = address ? start(e, err) : sl_error_oom(err);
    e->options.address = NULL;
    if (r < 0)
        return r;
    if (ret_address)
        *ret_address = sl_steal(&address);
    *ret = sl_steal(&e);
    return 0;
}

struct sl_metrics_endpoint *sl_metrics_endpoint_stop(struct sl_metrics_endpoint *e)
{
    if (!e)
        return NULL;
    if (e->daemon)
        MHD_stop_daemon(e->daemon);
    (void)sl_plain_listener_close(e->listener);
    free(e);
    return NULL;
}
