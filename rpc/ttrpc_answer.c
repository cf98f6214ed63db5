/* SPDX-License-Identifier: Apache-2.0 */
#include "ttrpc_answer.h"

#include "message_memory.h"

#include "ttrpc.pb-c.h"

#include <stdlib.h>

static int check_header(const struct sl_ttrpc_reader *reader, uint32_t stream, struct sl_error *err)
{
    const struct sl_ttrpc_header *header = &reader->header;
    if (reader->n_head < SL_TTRPC_HEADER)
        return 0;
    if (header->type != SL_TTRPC_RESPONSE || header->stream != stream)
        return sl_error_set(err, SL_E_NETWORK, EPROTO,
                            "the answer has type %u and stream %u instead of %d and %u",
                            header->type, header->stream, SL_TTRPC_RESPONSE, stream);
    if (sl_ttrpc_reader_is_too_long(reader))
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "the answer says it has %u bytes, over %d",
                            header->length, SL_RPC_MESSAGE_MAX);
    return 0;
}

int sl_ttrpc_answer_take(struct sl_ttrpc_reader *reader, uint32_t stream, struct sl_span bytes,
                         struct sl_error *err)
{
    int complete = sl_ttrpc_reader_take(reader, &bytes, err);
    int r = complete < 0 ? complete : check_header(reader, stream, err);
    if (r == 0 && complete && bytes.len)
        r = sl_error_set(err, SL_E_NETWORK, EPROTO, "bytes follow the answer");
    return r < 0 ? r : complete;
}

/* The same bytes again that stood in the status: the field's tag and length go with each. */
static int copy_details(const Ttrpc__Status *status, struct sl_bytes *ret, struct sl_error *err)
{
    Ttrpc__Status only = TTRPC__STATUS__INIT;
    only.n_details = status->n_details;
    only.details = status->details;
    size_t size = ttrpc__status__get_packed_size(&only);
    if (size == 0)
        return 0;
    struct sl_bytes packed = {.data = malloc(size + 1), .cap = size + 1};
    if (!packed.data)
        return sl_error_oom(err);
    packed.len = ttrpc__status__pack(&only, packed.data);
    packed.data[packed.len] = 0;
    *ret = packed;
    return 0;
}

static int copy_response(const Ttrpc__Response *response, struct sl_rpc_reply *ret,
                         struct sl_error *err)
{
    const Ttrpc__Status *status = response->status;
    struct sl_span payload = {response->payload.data, response->payload.len};
    int r = sl_bytes_append(&ret->message, payload, SL_RPC_MESSAGE_MAX, err);
    if (r < 0 || !status || status->code == SL_RPC_OK)
        return r;
    ret->status = status->code;
    r = sl_bytes_append(&ret->text, (struct sl_span){status->message.data, status->message.len},
                        SL_RPC_MESSAGE_MAX, err);
    return r < 0 ? r : copy_details(status, &ret->details, err);
}

int sl_ttrpc_answer_read(const struct sl_ttrpc_reader *reader, struct sl_rpc_reply *ret,
                         struct sl_error *err)
{
    struct sl_span payload = sl_ttrpc_reader_payload(reader);
    struct sl_message_memory memory;
    ProtobufCMessage *message = NULL;
    struct sl_error reason = {0};
    sl_message_memory_init(&memory, payload.len);
    int r = sl_message_unpack(&ttrpc__response__descriptor, payload, &memory, &message, &reason);
    if (r < 0)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "the answer is nonsense: %s", reason.msg);
    r = copy_response((Ttrpc__Response *)message, ret, err);
    protobuf_c_message_free_unpacked(message, &memory.allocator);
    return r;
}
