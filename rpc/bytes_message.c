/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/rpc.h"

#include "message_memory.h"

#include "keyprovider.pb-c.h"

#include <stdlib.h>

int sl_rpc_bytes_message_pack(struct sl_span field, struct sl_bytes *ret, struct sl_error *err)
{
    Keyprovider__OneField message = KEYPROVIDER__ONE_FIELD__INIT;
    message.field = (ProtobufCBinaryData){.data = (uint8_t *)field.data, .len = field.len};
    if (field.len > SL_RPC_MESSAGE_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "a message of %zu bytes is over the %d of RPC",
                            field.len, SL_RPC_MESSAGE_MAX);
    size_t size = keyprovider__one_field__get_packed_size(&message);
    struct sl_bytes packed = {.data = malloc(size + 1), .cap = size + 1};
    if (!packed.data)
        return sl_error_oom(err);
    packed.len = keyprovider__one_field__pack(&message, packed.data);
    packed.data[packed.len] = 0;
    *ret = packed;
    return 0;
}

int sl_rpc_bytes_message_unpack(struct sl_span message, struct sl_bytes *ret, struct sl_error *err)
{
    struct sl_message_memory memory;
    ProtobufCMessage *read = NULL;
    struct sl_bytes field = {0};
    sl_message_memory_init(&memory, message.len);
    int r = sl_message_unpack(&keyprovider__one_field__descriptor, message, &memory, &read, err);
    if (r < 0)
        return r;
    const ProtobufCBinaryData *data = &((Keyprovider__OneField *)read)->field;
    r = sl_bytes_append(&field, (struct sl_span){data->data, data->len}, SL_RPC_MESSAGE_MAX, err);
    protobuf_c_message_free_unpacked(read, &memory.allocator);
    if (r == 0)
        *ret = field;
    return r;
}
