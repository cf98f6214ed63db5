/* SPDX-License-Identifier: Apache-2.0 */
/* A call that becomes a question to another server. */
#include "client.h"
#include "server.h"

#include <sys/eventfd.h>
#include <unistd.h>

static void cancel(void *arg)
{
    (void)eventfd_write(*(const int *)arg, 1);
}

static int64_t deadline_of(const struct sl_rpc_call *call, int deadline_ms)
{
    int64_t latest = sl_clock_ms() + deadline_ms;
    return call->deadline && call->deadline < latest ? call->deadline : latest;
}

int sl_rpc_call_forward(struct sl_rpc_call *call, struct sl_rpc_client *client, int deadline_ms,
                        struct sl_rpc_reply *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_rpc_reply) reply = {0};
    int cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cancel_fd < 0)
        return sl_error_system(err, errno, "cannot make an event to end a call with");
    const struct sl_client_question question = {
        .service = call->service_name,
        .method = call->method,
        .request = sl_bytes_span(&call->request),
        .deadline = deadline_of(call, deadline_ms),
        .cancel_fd = cancel_fd,
        .metadata = call->metadata,
        .n_metadata = call->n_metadata,
    };
    sl_rpc_call_watch(call, cancel, &cancel_fd);
    int r = sl_client_ask(client, &question, &reply, err);
    sl_rpc_call_watch(call, NULL, NULL);
    close(cancel_fd);
    if (r < 0)
        return r;
    *ret = reply;
    reply = (struct sl_rpc_reply){0};
    return 0;
}
