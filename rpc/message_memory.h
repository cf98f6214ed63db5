/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for protobuf-c, which allocates by what a message says: it has a limit, and is wiped when
 * given back. One message, one memory, one thread.
 */
#pragma once

#include "sluice/core/bytes.h"

#include <protobuf-c/protobuf-c.h>

struct sl_message_memory {
    ProtobufCAllocator allocator; /* for protobuf-c */
    size_t left;                  /* bytes that may still be allocated */
    bool exceeded;
};

/* For a message of size bytes. Lives where it is: not to be copied. */
void sl_message_memory_init(struct sl_message_memory *memory, size_t size);

/* Fails with SL_E_LIMIT when the message wants too much memory, else with SL_E_FORMAT. The result
 * is given back with protobuf_c_message_free_unpacked(..., &memory->allocator). */
SL_MUST_CHECK int sl_message_unpack(const ProtobufCMessageDescriptor *kind, struct sl_span message,
                                    struct sl_message_memory *memory, ProtobufCMessage **ret,
                                    struct sl_error *err);
