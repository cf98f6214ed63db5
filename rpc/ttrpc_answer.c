/* SPDX-License-Identifier: Apache-2.0 */
#include "ttrpc_answer.h"

#include "message_memory.h"

#include "ttrpc.pb-c.h"

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

static int copy_response(const Ttrpc__Response *response, struct sl_client_reply *ret,
                         struct sl_error *err)
{
    struct sl_span payload = {response->payload.data, response->payload.len};
    if (!response->status || response->status->code == SL_RPC_OK)
        return sl_bytes_append(&ret->message, payload, SL_RPC_MESSAGE_MAX, err);
    struct sl_span text = {response->status->message.data, response->status->message.len};
    if (text.len > SL_RPC_STATUS_TEXT_MAX)
        text.len = SL_RPC_STATUS_TEXT_MAX;
    ret->status = (enum sl_rpc_status)response->status->code;
    return sl_bytes_append(&ret->text, text, SL_RPC_STATUS_TEXT_MAX, err);
}

int sl_ttrpc_answer_read(const struct sl_ttrpc_reader *reader, struct sl_client_reply *ret,
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
