/* SPDX-License-Identifier: Apache-2.0 */
#include "control_service.h"

#include "call_queue.h"
#include "sluice/core/clock.h"
#include "sluice/core/json_writer.h"
#include "sluice/core/log.h"
#include "status_json.h"

#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 2, /* a reload may wait for a broker: status is told meanwhile */
    CONNECTIONS_MAX = 16,
    CALLS_MAX = 32,
    DRAIN_MS = 200,
};

const char sl_control_name[] = "sluice.Control";
static const char *const methods[] = {"Status", "Cancel", "Reload", NULL};

struct sl_control {
    struct sl_control_options options;
    struct sl_status_sources status;
    struct sl_call_queue *queue;
    struct sl_rpc_service services[2];
    struct sl_rpc_server *server;
};

static int put_number(const char *name, uint64_t value, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    sl_json_put_int(w, name, (int64_t)value);
    return sl_json_end(w, ret, err);
}

static int cancel(struct sl_control *c, struct sl_span request, struct sl_bytes *ret,
                  struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(request, "request", /* limits= */ NULL, &doc, err);
    if (r < 0)
        return r;
    const char *job = sl_json_string(sl_json_get(sl_json_root(doc), "job"));
    if (!job)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the request names no job");
    unsigned n = sl_jobs_cancel(c->options.jobs, job);
    if (n == 0)
        return sl_error_set(err, SL_E_AUTH, ENOENT, "no pull has the number or image '%.300s'",
                            job);
    sl_log(SL_LOG_INFO, "%u pulls cancelled by the operator", n);
    return put_number("cancelled", n, ret, err);
}

static int reload(struct sl_control *c, struct sl_bytes *ret, struct sl_error *err)
{
    int r = c->options.reload(c->options.arg, err);
    return r < 0 ? r : put_number("generation", sl_backend_number(c->options.backend), ret, err);
}

static int respond(struct sl_control *c, const struct sl_rpc_call *call, struct sl_bytes *ret,
                   struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) request = {0};
    const char *method = sl_rpc_call_method(call);
    int r = sl_rpc_bytes_message_unpack(sl_rpc_call_request(call), &request, err);
    if (r < 0)
        return r;
    if (strcmp(method, "Status") == 0)
        return sl_status_json(&c->status, ret, err);
    if (strcmp(method, "Cancel") == 0)
        return cancel(c, sl_bytes_span(&request), ret, err);
    return reload(c, ret, err);
}

static void answer(void *arg, struct sl_rpc_call *call)
{
    SL_AUTO_DONE(sl_bytes) json = {0};
    SL_AUTO_DONE(sl_bytes) message = {0};
    struct sl_error err = {0};
    int r = respond(arg, call, &json, &err);
    if (r == 0)
        r = sl_rpc_bytes_message_pack(sl_bytes_span(&json), &message, &err);
    if (r == 0)
        sl_rpc_call_answer(call, sl_bytes_span(&message));
    else if (err.errnum == ENOENT)
        sl_rpc_call_refuse(call, SL_RPC_NOT_FOUND, err.msg);
    else
        sl_rpc_call_refuse(call, SL_RPC_INTERNAL, err.msg);
}

/* Programs that ask say "unix://": there is one protocol here. */
static int listen_at(struct sl_control *c, const char *address, struct sl_error *err)
{
    bool is_plain = strncmp(address, "unix://", strlen("unix://")) == 0;
    SL_AUTO_FREE char *full = sl_strf("%s%s", is_plain ? "ttrpc+" : "", address);
    if (!full)
        return sl_error_oom(err);
    return sl_rpc_server_listen(c->server, full, /* ret_address= */ NULL, err);
}

static int start(struct sl_control *c, struct sl_error *err)
{
    int r = sl_call_queue_new(THREADS, answer, c, &c->queue, err);
    if (r < 0)
        return r;
    c->services[0] = (struct sl_rpc_service){sl_control_name, methods, sl_call_queue_add, c->queue};
    const struct sl_rpc_server_options options = {
        .services = c->services, .max_connections = CONNECTIONS_MAX, .max_calls = CALLS_MAX};
    r = sl_rpc_server_new(&options, &c->server, err);
    if (r == 0)
        r = listen_at(c, c->options.address, err);
    return r < 0 ? r : sl_rpc_server_start(c->server, err);
}

int sl_control_start(const struct sl_control_options *options, struct sl_control **ret,
                     struct sl_error *err)
{
    SL_AUTO(sl_control) c = calloc(1, sizeof(*c));
    if (!c)
        return sl_error_oom(err);
    c->options = *options;
    c->status = (struct sl_status_sources){.jobs = options->jobs,
                                           .backend = options->backend,
                                           .config_path = options->config_path,
                                           .started_ns = sl_clock_ns()};
    int r = start(c, err);
    if (r == 0)
        *ret = sl_steal(&c);
    return r;
}

struct sl_control *sl_control_stop(struct sl_control *c)
{
    if (!c)
        return NULL;
    if (c->server)
        sl_rpc_server_stop(c->server, DRAIN_MS);
    /* Answers go through the server: it goes last. */
    (void)sl_call_queue_free(c->queue);
    (void)sl_rpc_server_free(c->server);
    free(c);
    return NULL;
}
