/* SPDX-License-Identifier: Apache-2.0 */
#include "ttrpc_frame.h"

#include "message_memory.h"

#include "ttrpc.pb-c.h"

#include <stdlib.h>
#include <string.h>

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

static void read_header(const uint8_t bytes[SL_TTRPC_HEADER], struct sl_ttrpc_header *ret)
{
    *ret = (struct sl_ttrpc_header){
        .length = get_be32(bytes),
        .stream = get_be32(bytes + 4),
        .type = bytes[8],
        .flags = bytes[9],
    };
}

bool sl_ttrpc_reader_is_too_long(const struct sl_ttrpc_reader *reader)
{
    return reader->n_head == SL_TTRPC_HEADER && reader->header.length > SL_RPC_MESSAGE_MAX;
}

static void take_header(struct sl_ttrpc_reader *reader, struct sl_span *bytes)
{
    size_t n = SL_TTRPC_HEADER - reader->n_head;
    if (n > bytes->len)
        n = bytes->len;
    if (n)
        memcpy(reader->head + reader->n_head, bytes->data, n);
    reader->n_head += n;
    *bytes = (struct sl_span){bytes->data + n, bytes->len - n};
    if (reader->n_head == SL_TTRPC_HEADER)
        read_header(reader->head, &reader->header);
}

int sl_ttrpc_reader_take(struct sl_ttrpc_reader *reader, struct sl_span *bytes,
                         struct sl_error *err)
{
    if (reader->n_head < SL_TTRPC_HEADER)
        take_header(reader, bytes);
    if (reader->n_head < SL_TTRPC_HEADER)
        return 0;
    size_t n = reader->header.length - reader->n_payload;
    if (n > bytes->len)
        n = bytes->len;
    /* The length is only a promise: memory grows with what has come. */
    int r = n == 0 || sl_ttrpc_reader_is_too_long(reader)
                ? 0
                : sl_bytes_append(&reader->payload, (struct sl_span){bytes->data, n},
                                  SL_RPC_MESSAGE_MAX, err);
    if (r < 0)
        return r;
    reader->n_payload += (uint32_t)n;
    *bytes = (struct sl_span){bytes->data + n, bytes->len - n};
    return reader->n_payload == reader->header.length;
}

struct sl_span sl_ttrpc_reader_payload(const struct sl_ttrpc_reader *reader)
{
    return sl_bytes_span(&reader->payload);
}

void sl_ttrpc_reader_done(struct sl_ttrpc_reader *reader)
{
    sl_bytes_wipe(&reader->payload);
    *reader = (struct sl_ttrpc_reader){0};
}

static int make_frame(const ProtobufCMessage *message, const struct sl_ttrpc_header *header,
                      struct sl_bytes *ret, struct sl_error *err)
{
    size_t length = protobuf_c_message_get_packed_size(message);
    if (length > SL_RPC_MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a %s of %zu bytes is over the %d of ttrpc",
                            message->descriptor->short_name, length, SL_RPC_MESSAGE_MAX);
    size_t size = SL_TTRPC_HEADER + length;
    uint8_t *frame = malloc(size + 1);
    if (!frame)
        return sl_error_oom(err);
    put_be32(frame, (uint32_t)length);
    put_be32(frame + 4, header->stream);
    frame[8] = header->type;
    frame[9] = header->flags;
    protobuf_c_message_pack(message, frame + SL_TTRPC_HEADER);
    frame[size] = 0;
    *ret = (struct sl_bytes){.data = frame, .len = size, .cap = size + 1};
    return 0;
}

static ProtobufCBinaryData lend(struct sl_span span)
{
    return (ProtobufCBinaryData){.data = (uint8_t *)span.data, .len = span.len};
}

int sl_ttrpc_request_frame(uint32_t stream, const struct sl_ttrpc_request *request,
                           struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_ttrpc_header header = {.stream = stream, .type = SL_TTRPC_REQUEST};
    Ttrpc__KeyValue pairs[SL_TTRPC_METADATA_MAX], *metadata[SL_TTRPC_METADATA_MAX];
    Ttrpc__Request message = TTRPC__REQUEST__INIT;
    if (request->n_metadata > SL_TTRPC_METADATA_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%zu pairs of metadata are over %d",
                            request->n_metadata, SL_TTRPC_METADATA_MAX);
    for (size_t i = 0; i < request->n_metadata; i++) {
        pairs[i] = (Ttrpc__KeyValue)TTRPC__KEY_VALUE__INIT;
        pairs[i].key = request->metadata[i].name;
        pairs[i].value = request->metadata[i].value;
        metadata[i] = &pairs[i];
    }
    message.service = lend(request->service);
    message.method = lend(request->method);
    message.payload = lend(request->message);
    message.timeout_nano = request->timeout_ns;
    message.metadata = metadata;
    message.n_metadata = request->n_metadata;
    return make_frame(&message.base, &header, ret, err);
}

static int make_response(uint32_t stream, const struct sl_wire_answer *answer,
                         Ttrpc__Status *status, struct sl_bytes *ret, struct sl_error *err)
{
    const struct sl_ttrpc_header header = {.stream = stream, .type = SL_TTRPC_RESPONSE};
    Ttrpc__Response response = TTRPC__RESPONSE__INIT;
    response.payload = lend(answer->message);
    if (answer->status != SL_RPC_OK) {
        status->code = answer->status;
        status->message = lend(answer->text);
        response.status = status;
    }
    return make_frame(&response.base, &header, ret, err);
}

int sl_ttrpc_response_frame(uint32_t stream, const struct sl_wire_answer *answer,
                            struct sl_bytes *ret, struct sl_error *err)
{
    Ttrpc__Status plain = TTRPC__STATUS__INIT;
    struct sl_message_memory memory;
    ProtobufCMessage *detailed = NULL;
    if (answer->details.len == 0)
        return make_response(stream, answer, &plain, ret, err);
    sl_message_memory_init(&memory, answer->details.len);
    int r = sl_message_unpack(&ttrpc__status__descriptor, answer->details, &memory, &detailed, err);
    if (r < 0)
        return r;
    /* Of what was read only the details go out: the text is lent, not theirs to free. */
    Ttrpc__Status *status = (Ttrpc__Status *)detailed;
    plain.n_details = status->n_details;
    plain.details = status->details;
    r = make_response(stream, answer, &plain, ret, err);
    protobuf_c_message_free_unpacked(detailed, &memory.allocator);
    return r;
}
