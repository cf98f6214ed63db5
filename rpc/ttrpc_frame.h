/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of ttrpc (containerd/ttrpc, PROTOCOL.md) and the two envelopes in them: a header of ten
 * bytes, length and stream id in big-endian, type, flags, and a protobuf message.
 */
#pragma once

#include "connection.h"

enum {
    SL_TTRPC_HEADER = 10,
    SL_TTRPC_REQUEST = 1,
    SL_TTRPC_RESPONSE = 2,
    SL_TTRPC_DATA = 3,
    SL_TTRPC_METADATA_MAX = 64, /* pairs of a request */
};

struct sl_ttrpc_header {
    uint32_t length; /* of the payload */
    uint32_t stream;
    uint8_t type, flags;
};

/* Puts frames together from bytes that come in any pieces. A payload over SL_RPC_MESSAGE_MAX is
 * skipped, not kept. */
struct sl_ttrpc_reader {
    uint8_t head[SL_TTRPC_HEADER];
    size_t n_head;
    struct sl_ttrpc_header header; /* once n_head is SL_TTRPC_HEADER */
    struct sl_bytes payload;
    uint32_t n_payload; /* bytes that have come, kept or skipped */
};
/* Wipes. */
void sl_ttrpc_reader_done(struct sl_ttrpc_reader *reader);
SL_DEFINE_AUTO_DONE(sl_ttrpc_reader, sl_ttrpc_reader_done)

/* Takes bytes off *bytes until a frame is complete (1) or none are left (0). The frame is
 * reader->header and sl_ttrpc_reader_payload(); sl_ttrpc_reader_done() makes room for the next. */
SL_MUST_CHECK int sl_ttrpc_reader_take(struct sl_ttrpc_reader *reader, struct sl_span *bytes,
                                       struct sl_error *err);
/* Empty for a frame that is too long. */
struct sl_span sl_ttrpc_reader_payload(const struct sl_ttrpc_reader *reader);
/* True once the header has come, and says so. */
bool sl_ttrpc_reader_is_too_long(const struct sl_ttrpc_reader *reader);

/* What is said in a request; all of it is lent. */
struct sl_ttrpc_request {
    struct sl_span service, method, message;
    int64_t timeout_ns; /* 0: none */
    const struct sl_pair *metadata;
    size_t n_metadata;
};
/* A whole frame; wipe it. SL_E_LIMIT when it would be too long. */
SL_MUST_CHECK int sl_ttrpc_request_frame(uint32_t stream, const struct sl_ttrpc_request *request,
                                         struct sl_bytes *ret, struct sl_error *err);
/* Details that are none are SL_E_FORMAT. */
SL_MUST_CHECK int sl_ttrpc_response_frame(uint32_t stream, const struct sl_wire_answer *answer,
                                          struct sl_bytes *ret, struct sl_error *err);
