/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever connects to our gRPC server says these bytes: containers of the guest, or the network.
 * The first byte chooses how they are cut and how calls are answered. */
#include "fake_connection.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void drain(struct sl_wire *wire)
{
    for (struct sl_span out = {0};;) {
        if (sl_grpc_wire.output(wire, &out, NULL) < 0 || out.len == 0)
            return;
    }
}

/* Every second call, unless told, is answered; answers to gone streams must do no harm. */
static void answer(struct sl_connection *connection, struct sl_wire *wire, bool answers_all)
{
    for (; connection->n_answered < connection->n_calls; connection->n_answered++) {
        const struct fake_call *call = &connection->calls[connection->n_answered];
        if (call->message.len > SL_RPC_MESSAGE_MAX || !*call->service || !*call->method)
            abort();
        struct sl_span bytes = sl_bytes_span(&call->message);
        const struct sl_wire_answer good = {.message = bytes};
        const struct sl_wire_answer refusal = {.status = SL_RPC_INTERNAL, .text = bytes};
        bool is_good = call->message.len % 2 == 0;
        if (answers_all || connection->n_answered % 2)
            (void)sl_grpc_wire.answer(wire, call->stream, is_good ? &good : &refusal, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sl_connection connection;
    struct sl_wire *wire;
    if (size == 0 || sl_grpc_wire.open(&connection, &wire, NULL) < 0)
        return 0;
    size_t chunk = data[0] & 0x7f ? data[0] & 0x7f : size;
    for (size_t at = 1; at < size; at += chunk) {
        size_t n = size - at < chunk ? size - at : chunk;
        if (sl_grpc_wire.input(wire, (struct sl_span){data + at, n}, NULL) < 0)
            break;
        answer(&connection, wire, data[0] & 0x80);
        drain(wire);
        (void)sl_grpc_wire.is_partial(wire);
    }
    sl_grpc_wire.shut(wire);
    drain(wire);
    sl_grpc_wire.close(wire);
    fake_connection_done(&connection);
    return 0;
}
