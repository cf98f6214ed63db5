/* SPDX-License-Identifier: Apache-2.0 */
/* The serving half of gRPC: HTTP/2 by nghttp2, which is fed and drained in memory. */
#include "connection.h"
#include "grpc_request.h"
#include "http2_memory.h"

#include <nghttp2/nghttp2.h>

#include <stdlib.h>
#include <string.h>

enum {
    STREAMS_MAX = 128,                 /* calls of a connection side by side */
    HELD_MAX = 2 * SL_RPC_MESSAGE_MAX, /* bytes of requests that a connection may pile up */
    OUTPUT_SIZE = 64 * 1024,           /* collected for one send; the last frame may exceed it */
    OUTPUT_KEPT = 1024,                /* bytes of memory for that, kept by an idle connection */
    ACKS_MAX = 100,                    /* of PING and SETTINGS, unsent, before it is a flood */
    SETTINGS_MAX = 32,                 /* entries of a SETTINGS frame */
    CONTINUATIONS_MAX = 8,             /* frames of a header block */
    RESETS_BURST = 256,                /* calls cancelled at once */
    RESETS_PER_SECOND = 64,
    FRAME_HEAD_SIZE = 9,
};

struct stream {
    struct stream *next, **prevp; /* all of the connection */
    int32_t id;
    struct sl_grpc_request request;
    size_t held; /* share of the connection's */
    bool has_headers, is_called, is_answered;
    struct sl_bytes answer;
    size_t sent;
};

struct grpc_wire {
    struct sl_wire base;
    struct sl_connection *connection;
    nghttp2_session *session; /* NULL: the peer has said nothing yet */
    bool is_shut;
    struct stream *streams;
    size_t held;   /* by requests */
    size_t unsent; /* of answers */
    struct sl_bytes out;
    struct sl_error error; /* of a callback that failed */
    int error_r;
};

/* --- streams --- */

static struct stream *stream_new(struct grpc_wire *wire, int32_t id)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream)
        return NULL;
    stream->id = id;
    stream->next = wire->streams;
    stream->prevp = &wire->streams;
    if (wire->streams)
        wire->streams->prevp = &stream->next;
    wire->streams = stream;
    return stream;
}

/* Wipes the request and the answer, whichever there is. */
static void stream_drop_bytes(struct grpc_wire *wire, struct stream *stream)
{
    sl_grpc_request_done(&stream->request);
    wire->held -= stream->held;
    stream->held = 0;
    wire->unsent -= stream->answer.len - stream->sent;
    sl_bytes_wipe(&stream->answer);
    stream->sent = 0;
}

static void stream_free(struct grpc_wire *wire, struct stream *stream)
{
    stream_drop_bytes(wire, stream);
    *stream->prevp = stream->next;
    if (stream->next)
        stream->next->prevp = stream->prevp;
    free(stream);
}

static bool stream_hold(struct grpc_wire *wire, struct stream *stream, size_t bytes)
{
    if (bytes > HELD_MAX - wire->held)
        return false;
    wire->held += bytes;
    stream->held += bytes;
    return true;
}

static int nghttp2_failed(int rc, struct sl_error *err)
{
    if (rc == NGHTTP2_ERR_NOMEM)
        return sl_error_oom(err);
    return sl_error_set(err, SL_E_NETWORK, EPROTO, "HTTP/2: %s", nghttp2_strerror(rc));
}

/* --- answers --- */

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value)};
}

/* The end of an answer comes in trailers, after the last byte. */
static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                           uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)buf;
    (void)arg;
    const struct stream *stream = source->ptr;
    size_t left = stream->answer.len - stream->sent;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY; /* else it would stay in nghttp2's buffers, unwiped */
    if (left > len)
        return (ssize_t)len;
    nghttp2_nv trailer = header("grpc-status", "0");
    if (nghttp2_submit_trailer(session, id, &trailer, 1) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return (ssize_t)left;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t len, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)frame; /* never padded: there is no callback that asks for it */
    struct grpc_wire *wire = arg;
    struct stream *stream = source->ptr;
    struct sl_span bytes = {stream->answer.data + stream->sent, len};
    int r = sl_bytes_append(&wire->out, (struct sl_span){head, FRAME_HEAD_SIZE}, SIZE_MAX,
                            &wire->error);
    if (r == 0)
        r = sl_bytes_append(&wire->out, bytes, SIZE_MAX, &wire->error);
    if (r < 0) {
        wire->error_r = r;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    stream->sent += len;
    wire->unsent -= len;
    if (stream->sent == stream->answer.len)
        stream_drop_bytes(wire, stream);
    return 0;
}

/* A refusal has no body: its only headers are its trailers. */
static int refuse(struct grpc_wire *wire, struct stream *stream, int status, struct sl_span text,
                  struct sl_error *err)
{
    SL_AUTO_FREE char *number = sl_strf("%d", status);
    SL_AUTO_FREE char *message = sl_grpc_text_encode(text);
    if (!number || !message)
        return sl_error_oom(err);
    nghttp2_nv headers[] = {header(":status", "200"), header("content-type", "application/grpc"),
                            header("grpc-status", number), header("grpc-message", message)};
    stream->is_answered = true;
    stream_drop_bytes(wire, stream);
    int rc = nghttp2_submit_response(wire->session, stream->id, headers, 4, NULL);
    return rc == 0 ? 0 : nghttp2_failed(rc, err);
}

static int refuse_http(struct grpc_wire *wire, struct stream *stream, int http,
                       struct sl_error *err)
{
    SL_AUTO_FREE char *number = sl_strf("%d", http);
    if (!number)
        return sl_error_oom(err);
    nghttp2_nv headers[] = {header(":status", number), header("content-length", "0")};
    stream->is_answered = true;
    stream_drop_bytes(wire, stream);
    int rc = nghttp2_submit_response(wire->session, stream->id, headers, 2, NULL);
    return rc == 0 ? 0 : nghttp2_failed(rc, err);
}

static int answer_with(struct grpc_wire *wire, struct stream *stream, struct sl_span message,
                       struct sl_error *err)
{
    int r = sl_grpc_body_append(&stream->answer, message, err);
    wire->unsent += stream->answer.len;
    if (r < 0)
        return r;
    nghttp2_nv headers[] = {header(":status", "200"), header("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_answer};
    stream->is_answered = true;
    int rc = nghttp2_submit_response(wire->session, stream->id, headers, 2, &provider);
    return rc == 0 ? 0 : nghttp2_failed(rc, err);
}

static int answer(struct sl_wire *base, uint32_t id, const struct sl_wire_answer *answer,
                  struct sl_error *err)
{
    struct grpc_wire *wire = (struct grpc_wire *)base;
    struct stream *stream = nghttp2_session_get_stream_user_data(wire->session, (int32_t)id);
    if (!stream || stream->is_answered)
        return 0;
    if (answer->status != SL_RPC_OK)
        return refuse(wire, stream, answer->status, answer->text, err);
    if (answer->message.len > SL_RPC_MESSAGE_MAX)
        return refuse(wire, stream, SL_RPC_RESOURCE_EXHAUSTED,
                      sl_span_of("the answer is too large"), err);
    return answer_with(wire, stream, answer->message, err);
}

/* --- requests: callbacks of nghttp2 --- */

/* Ends a callback: 0, or the failure that ends the connection. */
static int end_callback(struct grpc_wire *wire, int r)
{
    if (r >= 0)
        return 0;
    wire->error_r = r;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int apply_refusal(struct grpc_wire *wire, struct stream *stream,
                         struct sl_grpc_refusal refusal)
{
    if (refusal.http)
        return refuse_http(wire, stream, refusal.http, &wire->error);
    return refuse(wire, stream, refusal.status, sl_span_of(refusal.text), &wire->error);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_wire *wire = arg;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers */
    struct stream *stream = stream_new(wire, frame->hd.stream_id);
    if (!stream)
        return end_callback(wire, sl_error_oom(&wire->error));
    (void)nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    (void)flags;
    struct grpc_wire *wire = arg;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream || stream->has_headers)
        return 0;
    struct sl_span name_span = {name, name_len}, value_span = {value, value_len};
    return end_callback(
        wire, sl_grpc_request_header(&stream->request, name_span, value_span, &wire->error));
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
    (void)flags;
    struct grpc_wire *wire = arg;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream || stream->is_answered)
        return 0;
    struct sl_grpc_refusal refusal = {0, SL_RPC_RESOURCE_EXHAUSTED,
                                      "too much is under way on this connection"};
    if (stream_hold(wire, stream, len))
        refusal = sl_grpc_request_body(&stream->request, (struct sl_span){data, len});
    return refusal.text ? end_callback(wire, apply_refusal(wire, stream, refusal)) : 0;
}

/* The request is copied by the server; ours is wiped. */
static int call(struct grpc_wire *wire, struct stream *stream)
{
    struct sl_grpc_refusal refusal = sl_grpc_request_end(&stream->request);
    if (refusal.text)
        return apply_refusal(wire, stream, refusal);
    const struct sl_grpc_request *got = &stream->request;
    struct sl_wire_request request = {
        .stream = (uint32_t)stream->id,
        .message = sl_bytes_span(&got->body.message),
        .timeout_ns = got->timeout_ns,
        .metadata = got->metadata,
        .n_metadata = got->n_metadata,
    };
    (void)sl_grpc_path_split(sl_span_of(got->path), &request.service, &request.method);
    stream->is_called = true;
    int r = sl_connection_call(wire->connection, &request, &wire->error);
    stream_drop_bytes(wire, stream);
    return r;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct grpc_wire *wire = arg;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream)
        return 0;
    int r = 0;
    if (!stream->has_headers) {
        stream->has_headers = true;
        struct sl_grpc_refusal refusal = sl_grpc_request_check(&stream->request);
        if (refusal.text)
            r = apply_refusal(wire, stream, refusal);
    }
    if (r == 0 && !stream->is_answered && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        r = call(wire, stream);
    return end_callback(wire, r);
}

/* An answer that came before the end of the request: the client need not send the rest. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)arg;
    bool is_end = frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    int32_t id = frame->hd.stream_id;
    if (is_end && nghttp2_session_get_stream_remote_close(session, id) == 0)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    (void)code;
    struct grpc_wire *wire = arg;
    struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
    if (!stream)
        return 0;
    if (stream->is_called && !stream->is_answered)
        sl_connection_abandon(wire->connection, (uint32_t)id);
    (void)nghttp2_session_set_stream_user_data(session, id, NULL);
    stream_free(wire, stream);
    return 0;
}

/* --- the connection --- */

static int new_session(struct grpc_wire *wire)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    if (rc == 0)
        rc = nghttp2_option_new(&option);
    if (rc == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
        nghttp2_option_set_no_closed_streams(option, 1);
        nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
        nghttp2_option_set_max_settings(option, SETTINGS_MAX);
        nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
        nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST, RESETS_PER_SECOND);
        rc =
            nghttp2_session_server_new3(&wire->session, callbacks, wire, option, sl_http2_memory());
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

static void close_wire(struct sl_wire *base)
{
    struct grpc_wire *wire = (struct grpc_wire *)base;
    nghttp2_session_del(wire->session); /* calls nobody back */
    while (wire->streams)
        stream_free(wire, wire->streams);
    sl_bytes_wipe(&wire->out);
    free(wire);
}

/* The session begins with the first byte of its peer: who says nothing costs next to nothing, and a
 * client's preface comes first (RFC 9113, 3.4). */
static int open_wire(struct sl_connection *connection, struct sl_wire **ret, struct sl_error *err)
{
    struct grpc_wire *wire = calloc(1, sizeof(*wire));
    if (!wire)
        return sl_error_oom(err);
    wire->base.ops = &sl_grpc_wire;
    wire->connection = connection;
    *ret = &wire->base;
    return 0;
}

static int begin(struct grpc_wire *wire, struct sl_error *err)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SL_GRPC_HEADER_BYTES_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    int rc = new_session(wire);
    if (rc == 0)
        rc = nghttp2_submit_settings(wire->session, NGHTTP2_FLAG_NONE, settings,
                                     sizeof(settings) / sizeof(settings[0]));
    return rc == 0 ? 0 : nghttp2_failed(rc, err);
}

/* What nghttp2, or one of our callbacks within it, has failed with. */
static int session_failed(const struct grpc_wire *wire, int rc, struct sl_error *err)
{
    if (rc != NGHTTP2_ERR_CALLBACK_FAILURE || wire->error_r == 0)
        return nghttp2_failed(rc, err);
    if (err)
        *err = wire->error;
    return wire->error_r;
}

static int input(struct sl_wire *base, struct sl_span bytes, struct sl_error *err)
{
    struct grpc_wire *wire = (struct grpc_wire *)base;
    int r = wire->session ? 0 : begin(wire, err);
    if (r < 0)
        return r;
    ssize_t n = nghttp2_session_mem_recv(wire->session, bytes.data, bytes.len);
    return n < 0 ? session_failed(wire, (int)n, err) : 0;
}

static int output(struct sl_wire *base, struct sl_span *ret, struct sl_error *err)
{
    struct grpc_wire *wire = (struct grpc_wire *)base;
    sl_wipe(wire->out.data, wire->out.len);
    wire->out.len = 0;
    while (wire->session && wire->out.len < OUTPUT_SIZE) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(wire->session, &data);
        if (n < 0)
            return session_failed(wire, (int)n, err);
        if (n == 0)
            break;
        int r = sl_bytes_append(&wire->out, (struct sl_span){data, (size_t)n}, SIZE_MAX, err);
        if (r < 0)
            return r;
    }
    if (wire->out.len == 0 && wire->out.cap > OUTPUT_KEPT)
        sl_bytes_done(&wire->out); /* an idle peer needs no room */
    *ret = sl_bytes_span(&wire->out);
    return 0;
}

static void shut(struct sl_wire *base)
{
    struct grpc_wire *wire = (struct grpc_wire *)base;
    wire->is_shut = true;
    if (!wire->session)
        return;
    int32_t last = nghttp2_session_get_last_proc_stream_id(wire->session);
    (void)nghttp2_submit_goaway(wire->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
}

static bool is_idle(const struct sl_wire *base)
{
    const struct grpc_wire *wire = (const struct grpc_wire *)base;
    if (!wire->session)
        return wire->is_shut;
    return !nghttp2_session_want_read(wire->session) && !nghttp2_session_want_write(wire->session);
}

static bool is_partial(const struct sl_wire *base)
{
    const struct stream *stream = ((const struct grpc_wire *)base)->streams;
    while (stream && (stream->is_called || stream->is_answered))
        stream = stream->next;
    return stream;
}

static size_t pending(const struct sl_wire *base)
{
    const struct grpc_wire *wire = (const struct grpc_wire *)base;
    return wire->unsent + wire->out.len;
}

static size_t held(const struct sl_wire *base)
{
    return ((const struct grpc_wire *)base)->held;
}

const struct sl_wire_ops sl_grpc_wire = {
    .name = "grpc",
    .open = open_wire,
    .input = input,
    .output = output,
    .answer = answer,
    .shut = shut,
    .is_idle = is_idle,
    .is_partial = is_partial,
    .pending = pending,
    .held = held,
    .close = close_wire,
};
