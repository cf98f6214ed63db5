/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_request.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER_OVERHEAD = 32, /* RFC 9113, 6.5.2: what a header counts besides its bytes */
};

static bool is_text(struct sl_span span, const char *text)
{
    return span.len == strlen(text) && memcmp(span.data, text, span.len) == 0;
}

static char *copy_text(struct sl_span span)
{
    return strndup((const char *)span.data, span.len);
}

/* What HTTP and gRPC keep to themselves. */
static bool is_protocol_header(struct sl_span name)
{
    static const char *const names[] = {"content-type", "content-length", "te",
                                        "grpc-timeout", "grpc-encoding",  "grpc-accept-encoding"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (is_text(name, names[i]))
            return true;
    return name.len > 0 && name.data[0] == ':';
}

static int add_metadata(struct sl_grpc_request *request, struct sl_span name, struct sl_span value,
                        struct sl_error *err)
{
    struct sl_pair *pair = &request->metadata[request->n_metadata];
    pair->name = copy_text(name);
    pair->value = copy_text(value);
    request->n_metadata++; /* half a pair is freed with the others */
    return pair->name && pair->value ? 0 : sl_error_oom(err);
}

static int set_path(struct sl_grpc_request *request, struct sl_span value, struct sl_error *err)
{
    free(request->path);
    request->path = copy_text(value);
    return request->path ? 0 : sl_error_oom(err);
}

static bool is_over_limit(const struct sl_grpc_request *request)
{
    return request->n_headers > SL_GRPC_HEADERS_MAX ||
           request->header_bytes > SL_GRPC_HEADER_BYTES_MAX;
}

int sl_grpc_request_header(struct sl_grpc_request *request, struct sl_span name,
                           struct sl_span value, struct sl_error *err)
{
    if (is_over_limit(request))
        return 0;
    request->n_headers++;
    request->header_bytes += name.len + value.len + HEADER_OVERHEAD;
    if (is_over_limit(request))
        return 0;
    if (is_text(name, ":method"))
        request->is_post = is_text(value, "POST");
    else if (is_text(name, "content-type"))
        request->is_grpc = sl_grpc_is_content_type(value);
    else if (is_text(name, "grpc-timeout"))
        request->has_bad_timeout = sl_grpc_timeout_parse(value, &request->timeout_ns) < 0;
    else if (is_text(name, ":path"))
        return set_path(request, value, err);
    else if (!is_protocol_header(name))
        return add_metadata(request, name, value, err);
    return 0;
}

struct sl_grpc_refusal sl_grpc_request_check(const struct sl_grpc_request *request)
{
    struct sl_span service, method;
    if (is_over_limit(request))
        return (struct sl_grpc_refusal){0, SL_RPC_RESOURCE_EXHAUSTED,
                                        "too many headers, or too large ones"};
    if (!request->is_post)
        return (struct sl_grpc_refusal){405, SL_RPC_INTERNAL, "the HTTP method is not POST"};
    if (!request->is_grpc)
        return (struct sl_grpc_refusal){415, SL_RPC_INTERNAL,
                                        "the content type is not application/grpc"};
    if (!request->path || !sl_grpc_path_split(sl_span_of(request->path), &service, &method))
        return (struct sl_grpc_refusal){0, SL_RPC_UNIMPLEMENTED, "the path is not /SERVICE/METHOD"};
    if (request->has_bad_timeout)
        return (struct sl_grpc_refusal){0, SL_RPC_INTERNAL, "malformed grpc-timeout"};
    return (struct sl_grpc_refusal){0};
}

static struct sl_grpc_refusal refuse_body(enum sl_grpc_body_fault fault)
{
    struct sl_grpc_refusal refusal = {0, SL_RPC_INTERNAL, sl_grpc_body_fault_text(fault)};
    if (fault == SL_GRPC_BODY_GOOD)
        return (struct sl_grpc_refusal){0};
    if (fault == SL_GRPC_BODY_COMPRESSED)
        refusal.status = SL_RPC_UNIMPLEMENTED;
    if (fault == SL_GRPC_BODY_TOO_LARGE || fault == SL_GRPC_BODY_NO_MEMORY)
        refusal.status = SL_RPC_RESOURCE_EXHAUSTED;
    return refusal;
}

struct sl_grpc_refusal sl_grpc_request_body(struct sl_grpc_request *request, struct sl_span bytes)
{
    return refuse_body(sl_grpc_reader_feed(&request->body, bytes));
}

struct sl_grpc_refusal sl_grpc_request_end(const struct sl_grpc_request *request)
{
    return refuse_body(sl_grpc_reader_end(&request->body));
}

void sl_grpc_request_done(struct sl_grpc_request *request)
{
    sl_grpc_reader_wipe(&request->body);
    for (size_t i = 0; i < request->n_metadata; i++) {
        free(request->metadata[i].name);
        sl_secret_free(request->metadata[i].value); /* may be a token */
    }
    free(request->path);
    *request = (struct sl_grpc_request){0};
}
