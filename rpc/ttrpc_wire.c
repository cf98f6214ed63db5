/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ttrpc, the answering end. Like containerd's server it refuses what it cannot serve and keeps the
 * connection: calls of others may be in flight on it.
 */
#include "connection.h"
#include "message_memory.h"
#include "ttrpc_frame.h"

#include "ttrpc.pb-c.h"

#include <stdlib.h>

/* A frame that waits to be sent. */
struct out_frame {
    struct out_frame *next;
    struct sl_bytes bytes;
};

struct ttrpc_wire {
    struct sl_wire base;
    struct sl_connection *connection;
    struct sl_ttrpc_reader reader;
    uint32_t last_stream; /* the highest id a request had */
    unsigned n_calls;     /* that were not answered */
    bool is_shut;
    struct out_frame *out; /* the first is lent if is_lent */
    struct out_frame **out_end;
    bool is_lent;
    size_t pending; /* bytes of all frames in out */
};

static int ttrpc_open(struct sl_connection *connection, struct sl_wire **ret, struct sl_error *err)
{
    struct ttrpc_wire *wire = calloc(1, sizeof(*wire));
    if (!wire)
        return sl_error_oom(err);
    wire->base.ops = &sl_ttrpc_wire;
    wire->connection = connection;
    wire->out_end = &wire->out;
    *ret = &wire->base;
    return 0;
}

static void drop_first(struct ttrpc_wire *wire)
{
    struct out_frame *first = wire->out;
    wire->out = first->next;
    if (!wire->out)
        wire->out_end = &wire->out;
    wire->pending -= first->bytes.len;
    sl_bytes_wipe(&first->bytes);
    free(first);
}

static void ttrpc_close(struct sl_wire *base)
{
    struct ttrpc_wire *wire = (struct ttrpc_wire *)base;
    while (wire->out)
        drop_first(wire);
    sl_ttrpc_reader_done(&wire->reader);
    free(wire);
}

static int say(struct ttrpc_wire *wire, uint32_t stream, const struct sl_wire_answer *answer,
               struct sl_error *err)
{
    static const struct sl_wire_answer too_long = {
        .status = SL_RPC_RESOURCE_EXHAUSTED,
        .text = {(const uint8_t *)"the answer is too long", sizeof("the answer is too long") - 1},
    };
    struct out_frame *frame = calloc(1, sizeof(*frame));
    if (!frame)
        return sl_error_oom(err);
    int r = sl_ttrpc_response_frame(stream, answer, &frame->bytes, err);
    if (r == -E2BIG)
        r = sl_ttrpc_response_frame(stream, &too_long, &frame->bytes, err);
    if (r < 0) {
        free(frame);
        return r;
    }
    *wire->out_end = frame;
    wire->out_end = &frame->next;
    wire->pending += frame->bytes.len;
    return 0;
}

static int ttrpc_answer(struct sl_wire *base, uint32_t stream, const struct sl_wire_answer *answer,
                        struct sl_error *err)
{
    struct ttrpc_wire *wire = (struct ttrpc_wire *)base;
    wire->n_calls -= wire->n_calls > 0;
    return say(wire, stream, answer, err);
}

static int refuse(struct ttrpc_wire *wire, enum sl_rpc_status status, const char *text,
                  struct sl_error *err)
{
    const struct sl_wire_answer answer = {.status = (int)status, .text = sl_span_of(text)};
    return say(wire, wire->reader.header.stream, &answer, err);
}

static int call(struct ttrpc_wire *wire, const Ttrpc__Request *message, struct sl_error *err)
{
    struct sl_pair metadata[SL_TTRPC_METADATA_MAX];
    struct sl_wire_request request = {
        .stream = wire->reader.header.stream,
        .service = {message->service.data, message->service.len},
        .method = {message->method.data, message->method.len},
        .message = {message->payload.data, message->payload.len},
        .timeout_ns = message->timeout_nano > 0 ? message->timeout_nano : 0,
        .metadata = metadata,
        .n_metadata = message->n_metadata,
    };
    if (message->n_metadata > SL_TTRPC_METADATA_MAX)
        return refuse(wire, SL_RPC_RESOURCE_EXHAUSTED, "too many pairs of metadata", err);
    for (size_t i = 0; i < message->n_metadata; i++)
        metadata[i] = (struct sl_pair){message->metadata[i]->key, message->metadata[i]->value};
    wire->n_calls++;
    return sl_connection_call(wire->connection, &request, err);
}

static int read_request(struct ttrpc_wire *wire, struct sl_error *err)
{
    struct sl_span payload = sl_ttrpc_reader_payload(&wire->reader);
    struct sl_message_memory memory;
    ProtobufCMessage *message = NULL;
    struct sl_error reason = {0};
    sl_message_memory_init(&memory, payload.len);
    int r = sl_message_unpack(&ttrpc__request__descriptor, payload, &memory, &message, &reason);
    if (r < 0)
        return refuse(wire, r == -E2BIG ? SL_RPC_RESOURCE_EXHAUSTED : SL_RPC_INVALID_ARGUMENT,
                      reason.msg, err);
    r = call(wire, (Ttrpc__Request *)message, err);
    protobuf_c_message_free_unpacked(message, &memory.allocator);
    return r;
}

/* Data of a stream that has begun belongs to one that was refused, and is not answered again; as
 * containerd's server says it of the others. Other types are none that a client sends. */
static int refuse_data(struct ttrpc_wire *wire, struct sl_error *err)
{
    const struct sl_ttrpc_header *header = &wire->reader.header;
    if (header->type != SL_TTRPC_DATA || header->stream <= wire->last_stream)
        return 0;
    return refuse(wire, SL_RPC_INVALID_ARGUMENT, "StreamID is no longer active", err);
}

static int take_frame(struct ttrpc_wire *wire, struct sl_error *err)
{
    const struct sl_ttrpc_header *header = &wire->reader.header;
    if (header->type != SL_TTRPC_REQUEST)
        return refuse_data(wire, err);
    if (header->stream % 2 == 0)
        return refuse(wire, SL_RPC_INVALID_ARGUMENT, "stream id must be odd", err);
    if (header->stream <= wire->last_stream)
        return refuse(wire, SL_RPC_INVALID_ARGUMENT,
                      "stream id cannot be re-used and must increment", err);
    wire->last_stream = header->stream;
    if (sl_ttrpc_reader_is_too_long(&wire->reader))
        return refuse(wire, SL_RPC_RESOURCE_EXHAUSTED, "the request is too long", err);
    if (header->flags != 0)
        return refuse(wire, SL_RPC_UNIMPLEMENTED, "streams are not supported", err);
    return read_request(wire, err);
}

static int ttrpc_input(struct sl_wire *base, struct sl_span bytes, struct sl_error *err)
{
    struct ttrpc_wire *wire = (struct ttrpc_wire *)base;
    int r;
    while ((r = sl_ttrpc_reader_take(&wire->reader, &bytes, err)) > 0) {
        r = take_frame(wire, err);
        sl_ttrpc_reader_done(&wire->reader);
        if (r < 0)
            return r;
    }
    return r;
}

static int ttrpc_output(struct sl_wire *base, struct sl_span *ret, struct sl_error *err)
{
    struct ttrpc_wire *wire = (struct ttrpc_wire *)base;
    (void)err;
    if (wire->is_lent)
        drop_first(wire);
    wire->is_lent = wire->out != NULL;
    *ret = wire->out ? sl_bytes_span(&wire->out->bytes) : (struct sl_span){0};
    return 0;
}

static void ttrpc_shut(struct sl_wire *base)
{
    ((struct ttrpc_wire *)base)->is_shut = true;
}

static bool ttrpc_is_idle(const struct sl_wire *base)
{
    const struct ttrpc_wire *wire = (const struct ttrpc_wire *)base;
    return wire->is_shut && wire->n_calls == 0 && !wire->out;
}

static bool ttrpc_is_partial(const struct sl_wire *base)
{
    return ((const struct ttrpc_wire *)base)->reader.n_head > 0;
}

static size_t ttrpc_pending(const struct sl_wire *base)
{
    return ((const struct ttrpc_wire *)base)->pending;
}

static size_t ttrpc_held(const struct sl_wire *base)
{
    return ((const struct ttrpc_wire *)base)->reader.payload.len;
}

const struct sl_wire_ops sl_ttrpc_wire = {
    .name = "ttrpc",
    .open = ttrpc_open,
    .input = ttrpc_input,
    .output = ttrpc_output,
    .answer = ttrpc_answer,
    .shut = ttrpc_shut,
    .is_idle = ttrpc_is_idle,
    .is_partial = ttrpc_is_partial,
    .pending = ttrpc_pending,
    .held = ttrpc_held,
    .close = ttrpc_close,
};
