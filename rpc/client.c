/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <stdlib.h>
#include <string.h>

struct sl_rpc_client {
    char *target;
    struct sl_client_wire *wire;
    int cancel_fd;
};

int sl_rpc_client_new(enum sl_rpc_protocol protocol, const char *target,
                      const struct sl_rpc_tls *tls, struct sl_rpc_client **ret,
                      struct sl_error *err)
{
    const struct sl_client_ops *ops = protocol == SL_RPC_TTRPC ? &sl_ttrpc_client : &sl_grpc_client;
    SL_AUTO(sl_rpc_client) client = calloc(1, sizeof(*client));
    if (!client)
        return sl_error_oom(err);
    client->target = strdup(target);
    if (!client->target)
        return sl_error_oom(err);
    int r = ops->open(target, tls, &client->wire, err);
    if (r == 0)
        *ret = sl_steal(&client);
    return r;
}

struct sl_rpc_client *sl_rpc_client_free(struct sl_rpc_client *client)
{
    if (!client)
        return NULL;
    int saved = errno;
    if (client->wire)
        client->wire->ops->close(client->wire);
    free(client->target);
    free(client);
    errno = saved;
    return NULL;
}

void sl_rpc_client_set_cancel_fd(struct sl_rpc_client *client, int cancel_fd)
{
    client->cancel_fd = cancel_fd;
}

void sl_rpc_reply_done(struct sl_rpc_reply *reply)
{
    sl_bytes_wipe(&reply->message);
    sl_bytes_wipe(&reply->text); /* who refuses may quote what it was given */
    sl_bytes_wipe(&reply->details);
}

int sl_client_ask(struct sl_rpc_client *client, const struct sl_client_question *question,
                  struct sl_rpc_reply *ret, struct sl_error *err)
{
    if (question->request.len > SL_RPC_MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "%s: a request of %zu bytes is over the %d of RPC", client->target,
                            question->request.len, SL_RPC_MESSAGE_MAX);
    if (question->n_metadata && client->wire->ops != &sl_ttrpc_client)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s: metadata is sent by ttrpc only",
                            client->target);
    int r = sl_cancel_is_asked(question->cancel_fd)
                ? sl_cancel_error(err)
                : client->wire->ops->call(client->wire, question, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", client->target) : 0;
}

/* What the server said, in the words of an error. */
static int judge(const struct sl_rpc_reply *reply, struct sl_error *err)
{
    if (reply->status == SL_RPC_OK)
        return 0;
    if (reply->text.len == 0)
        return sl_error_set(err, SL_E_AUTH, EPROTO, "the server refuses with status %d",
                            reply->status);
    return sl_error_set(err, SL_E_AUTH, EPROTO, "%s", (const char *)reply->text.data);
}

int sl_rpc_call(struct sl_rpc_client *client, const char *service, const char *method,
                struct sl_span request, int deadline_ms, struct sl_bytes *ret,
                enum sl_rpc_status *ret_status, struct sl_error *err)
{
    const struct sl_client_question question = {
        .service = service,
        .method = method,
        .request = request,
        .deadline = sl_clock_ms() + deadline_ms,
        .cancel_fd = client->cancel_fd,
    };
    SL_AUTO_DONE(sl_rpc_reply) reply = {0};
    int r = sl_client_ask(client, &question, &reply, err);
    if (r == 0)
        r = judge(&reply, err);
    if (ret_status && (r == 0 || reply.status != SL_RPC_OK))
        *ret_status = (enum sl_rpc_status)reply.status;
    if (r == 0) {
        *ret = reply.message;
        reply.message = (struct sl_bytes){0};
    }
    return r;
}
