/* SPDX-License-Identifier: Apache-2.0 */
/* What a client has sent of one gRPC call: headers, then a body. Knows nothing of streams. */
#pragma once

#include "grpc_format.h"

enum {
    SL_GRPC_HEADERS_MAX = 64,             /* of a request, all kinds */
    SL_GRPC_HEADER_BYTES_MAX = 16 * 1024, /* names and values; as HTTP/2 counts, 32 more each */
};

/* Why a request gets no further: http is 0, or the status of a plain HTTP answer to somebody who
 * does not speak gRPC. */
struct sl_grpc_refusal {
    int http;
    enum sl_rpc_status status;
    const char *text; /* static; NULL: it is not refused */
};

struct sl_grpc_request {
    bool is_post, is_grpc, has_bad_timeout;
    size_t n_headers, header_bytes;
    char *path;
    int64_t timeout_ns;
    struct sl_pair metadata[SL_GRPC_HEADERS_MAX];
    size_t n_metadata;
    struct sl_grpc_reader body;
};

/* One header, name in lower case as HTTP/2 has them. What exceeds the limits is dropped, which
 * sl_grpc_request_check() will tell. Fails with -ENOMEM only. */
SL_MUST_CHECK int sl_grpc_request_header(struct sl_grpc_request *request, struct sl_span name,
                                         struct sl_span value, struct sl_error *err);
/* All headers have come. */
struct sl_grpc_refusal sl_grpc_request_check(const struct sl_grpc_request *request);
/* A piece of the body; the end of it. */
struct sl_grpc_refusal sl_grpc_request_body(struct sl_grpc_request *request, struct sl_span bytes);
struct sl_grpc_refusal sl_grpc_request_end(const struct sl_grpc_request *request);
/* Wipes and frees. */
void sl_grpc_request_done(struct sl_grpc_request *request);
