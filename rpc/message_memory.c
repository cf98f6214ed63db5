/* SPDX-License-Identifier: Apache-2.0 */
#include "message_memory.h"

#include <stdlib.h>

/* A field costs the reader some 40 bytes while it looks at it and a string its length: room for
 * either, and not for a message that consists of empty fields only. */
enum {
    MEMORY_BASE = 64 * 1024,
    MEMORY_FACTOR = 4,
};

/* Before each allocation: what is to be wiped. */
struct block {
    _Alignas(max_align_t) size_t size;
    uint8_t bytes[];
};

static void *block_alloc(void *arg, size_t size)
{
    struct sl_message_memory *memory = arg;
    if (size > memory->left) {
        memory->exceeded = true;
        return NULL;
    }
    struct block *block = malloc(sizeof(*block) + size);
    if (!block)
        return NULL;
    memory->left -= size;
    block->size = size;
    return block->bytes;
}

static void block_free(void *arg, void *p)
{
    struct sl_message_memory *memory = arg;
    if (!p)
        return;
    struct block *block = (struct block *)((uint8_t *)p - offsetof(struct block, bytes));
    memory->left += block->size;
    sl_wipe(block->bytes, block->size);
    free(block);
}

void sl_message_memory_init(struct sl_message_memory *memory, size_t size)
{
    *memory = (struct sl_message_memory){
        .allocator = {.alloc = block_alloc, .free = block_free, .allocator_data = memory},
        .left = MEMORY_BASE + MEMORY_FACTOR * size,
    };
}

int sl_message_unpack(const ProtobufCMessageDescriptor *kind, struct sl_span message,
                      struct sl_message_memory *memory, ProtobufCMessage **ret,
                      struct sl_error *err)
{
    static const uint8_t nothing[1];
    ProtobufCMessage *m = protobuf_c_message_unpack(kind, &memory->allocator, message.len,
                                                    message.len ? message.data : nothing);
    if (m) {
        *ret = m;
        return 0;
    }
    if (memory->exceeded)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "the %s message has too many fields",
                            kind->short_name);
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the bytes are no %s message", kind->short_name);
}
