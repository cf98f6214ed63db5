/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    HEADER_BYTES_MAX = 64 * 1024, /* of an answer, trailers included */
    STATUS_BYTES_MAX = 16,        /* of grpc-status; more is no number we know */
};

static int fail(struct sl_error *err, const char *what)
{
    return sl_error_set(err, SL_E_NETWORK, EPROTO, "%s", what);
}

static bool is_name(struct sl_span name, const char *text)
{
    return name.len == strlen(text) && strncasecmp((const char *)name.data, text, name.len) == 0;
}

static struct sl_span trim(struct sl_span text)
{
    while (text.len && strchr(" \t\r\n", text.data[text.len - 1]))
        text.len--;
    while (text.len && strchr(" \t", text.data[0])) {
        text.data++;
        text.len--;
    }
    return text;
}

/* "HTTP/2 200": begins a head, also after a provisional one. */
static int take_status_line(struct sl_grpc_answer *answer, struct sl_span line,
                            struct sl_error *err)
{
    static const char version[] = "HTTP/2 ";
    size_t n = sizeof(version) - 1;
    if (line.len < n + 3 || memcmp(line.data, version, n) != 0)
        return fail(err, "the server does not speak HTTP/2, which gRPC needs");
    int status = 0;
    for (size_t i = n; i < n + 3; i++) {
        if (line.data[i] < '0' || line.data[i] > '9')
            return fail(err, "malformed HTTP status");
        status = status * 10 + (line.data[i] - '0');
    }
    answer->http_status = status;
    answer->is_grpc = false;
    sl_bytes_done(&answer->status);
    sl_bytes_done(&answer->text);
    return 0;
}

/* Replaces what an earlier header of that name said. */
static int keep(struct sl_bytes *place, struct sl_span value, size_t limit, struct sl_error *err)
{
    if (value.len > limit)
        value.len = limit;
    sl_bytes_done(place);
    return sl_bytes_append(place, value, limit, err);
}

int sl_grpc_answer_line(struct sl_grpc_answer *answer, struct sl_span line, struct sl_error *err)
{
    answer->header_bytes += line.len;
    if (answer->header_bytes > HEADER_BYTES_MAX)
        return fail(err, "the server's headers are too large");
    if (line.len > 5 && memcmp(line.data, "HTTP/", 5) == 0)
        return take_status_line(answer, line, err);
    const uint8_t *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon)
        return 0;
    struct sl_span name = {line.data, (size_t)(colon - line.data)};
    struct sl_span value = trim((struct sl_span){colon + 1, line.len - name.len - 1});
    if (is_name(name, "content-type"))
        answer->is_grpc = sl_grpc_is_content_type(value);
    else if (is_name(name, "grpc-status"))
        return keep(&answer->status, value, STATUS_BYTES_MAX, err);
    else if (is_name(name, "grpc-message"))
        return keep(&answer->text, value, SL_RPC_STATUS_TEXT_MAX, err);
    return 0;
}

static int check_head(const struct sl_grpc_answer *answer, struct sl_error *err)
{
    if (answer->http_status != 200)
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "the server answers HTTP %d, not gRPC",
                            answer->http_status);
    return answer->is_grpc ? 0 : fail(err, "the server answers HTTP, not gRPC");
}

int sl_grpc_answer_body(struct sl_grpc_answer *answer, struct sl_span bytes, struct sl_error *err)
{
    int r = check_head(answer, err);
    if (r < 0)
        return r;
    enum sl_grpc_body_fault fault = sl_grpc_reader_feed(&answer->body, bytes);
    if (fault == SL_GRPC_BODY_NO_MEMORY)
        return sl_error_oom(err);
    return fault == SL_GRPC_BODY_GOOD ? 0 : fail(err, sl_grpc_body_fault_text(fault));
}

bool sl_grpc_answer_is_refusal(const struct sl_grpc_answer *answer)
{
    enum sl_rpc_status status;
    return answer->status.data &&
           sl_grpc_status_parse(sl_bytes_span(&answer->status), &status) == 0 &&
           status != SL_RPC_OK;
}

static int take_text(struct sl_grpc_answer *answer, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_FREE char *text = sl_grpc_text_decode(sl_bytes_span(&answer->text));
    return text ? sl_bytes_append(ret, sl_span_of(text), SL_RPC_STATUS_TEXT_MAX, err)
                : sl_error_oom(err);
}

int sl_grpc_answer_take(struct sl_grpc_answer *answer, enum sl_rpc_status *ret_status,
                        struct sl_bytes *ret_message, struct sl_bytes *ret_text,
                        struct sl_error *err)
{
    enum sl_rpc_status status = SL_RPC_UNKNOWN;
    int r = answer->status.data ? 0 : check_head(answer, err);
    if (r < 0)
        return r;
    if (!answer->status.data)
        return fail(err, "the answer ends without a grpc-status");
    if (sl_grpc_status_parse(sl_bytes_span(&answer->status), &status) < 0)
        return fail(err, "the answer's grpc-status is not a number");
    if (status != SL_RPC_OK) {
        r = take_text(answer, ret_text, err);
        if (r == 0)
            *ret_status = status;
        return r;
    }
    r = check_head(answer, err);
    if (r < 0)
        return r;
    enum sl_grpc_body_fault fault = sl_grpc_reader_end(&answer->body);
    if (fault != SL_GRPC_BODY_GOOD)
        return fail(err, sl_grpc_body_fault_text(fault));
    *ret_message = answer->body.message;
    answer->body.message = (struct sl_bytes){0};
    *ret_status = SL_RPC_OK;
    return 0;
}

void sl_grpc_answer_done(struct sl_grpc_answer *answer)
{
    sl_grpc_reader_wipe(&answer->body);
    sl_bytes_done(&answer->status);
    sl_bytes_done(&answer->text);
    *answer = (struct sl_grpc_answer){0};
}
