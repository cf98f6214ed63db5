/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_connection.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(struct sl_span span)
{
    return strndup((const char *)span.data, span.len);
}

static char *join(const struct sl_pair *pairs, size_t n)
{
    char *all = strdup("");
    for (size_t i = 0; i < n; i++) {
        char *longer = sl_strf("%s%s=%s\n", all, pairs[i].name, pairs[i].value);
        free(all);
        all = longer;
    }
    return all;
}

int sl_connection_call(struct sl_connection *connection, const struct sl_wire_request *request,
                       struct sl_error *err)
{
    if (connection->is_out_of_memory || connection->n_calls == FAKE_CALLS_MAX)
        return sl_error_oom(err);
    struct fake_call *call = &connection->calls[connection->n_calls++];
    *call = (struct fake_call){
        .stream = request->stream,
        .service = text_of(request->service),
        .method = text_of(request->method),
        .timeout_ns = request->timeout_ns,
        .metadata = join(request->metadata, request->n_metadata),
    };
    return sl_bytes_append(&call->message, request->message, SL_RPC_MESSAGE_MAX, err);
}

void sl_connection_abandon(struct sl_connection *connection, uint32_t stream)
{
    for (size_t i = 0; i < connection->n_calls; i++)
        if (connection->calls[i].stream == stream)
            connection->calls[i].is_abandoned = true;
}

void fake_connection_done(struct sl_connection *connection)
{
    for (size_t i = 0; i < connection->n_calls; i++) {
        struct fake_call *call = &connection->calls[i];
        free(call->service);
        free(call->method);
        free(call->metadata);
        sl_bytes_done(&call->message);
    }
    *connection = (struct sl_connection){0};
}
