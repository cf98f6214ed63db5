/* SPDX-License-Identifier: Apache-2.0 */
/* What a gRPC server sends back for one call, as it comes: headers, body, trailers. */
#pragma once

#include "grpc_format.h"

struct sl_grpc_answer {
    int http_status; /* 0: none yet */
    bool is_grpc;    /* by its content type */
    size_t header_bytes;
    struct sl_bytes status; /* grpc-status and grpc-message as they came */
    struct sl_bytes text;
    struct sl_grpc_reader body;
};

/* A line of the head or of the trailers, with its line end, as libcurl hands it out. SL_E_NETWORK
 * when no gRPC server would say that. */
SL_MUST_CHECK int sl_grpc_answer_line(struct sl_grpc_answer *answer, struct sl_span line,
                                      struct sl_error *err);
/* A piece of the body. */
SL_MUST_CHECK int sl_grpc_answer_body(struct sl_grpc_answer *answer, struct sl_span bytes,
                                      struct sl_error *err);
/* True when the server has said no: nothing that follows can matter. */
bool sl_grpc_answer_is_refusal(const struct sl_grpc_answer *answer);
/* Everything has come. *ret_message (may be secret) is set for SL_RPC_OK, *ret_text, NUL-terminated
 * UTF-8, for the others; both were empty. SL_E_NETWORK when the answer is not whole, or nonsense.
 */
SL_MUST_CHECK int sl_grpc_answer_take(struct sl_grpc_answer *answer, enum sl_rpc_status *ret_status,
                                      struct sl_bytes *ret_message, struct sl_bytes *ret_text,
                                      struct sl_error *err);
/* Wipes and frees. */
void sl_grpc_answer_done(struct sl_grpc_answer *answer);
SL_DEFINE_AUTO_DONE(sl_grpc_answer, sl_grpc_answer_done)
