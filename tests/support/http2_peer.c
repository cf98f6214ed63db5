/* SPDX-License-Identifier: Apache-2.0 */
#include "http2_peer.h"

#include <stdlib.h>
#include <string.h>

enum { HEADERS_MAX = 512, MANY = 1 << 30 };

static void append(struct sl_bytes *to, const void *data, size_t len)
{
    if (sl_bytes_append(to, (struct sl_span){data, len}, MANY, NULL) < 0)
        abort();
}

static struct peer_answer *answer_of(struct http2_peer *peer, int32_t id)
{
    if (id < 0 || id >= PEER_STREAMS_MAX)
        abort();
    return &peer->answers[id];
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    (void)session;
    (void)flags;
    struct sl_bytes *headers = &answer_of(arg, frame->hd.stream_id)->headers;
    append(headers, name, name_len);
    append(headers, ": ", 2);
    append(headers, value, value_len);
    append(headers, "\n", 1);
    return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    if (frame->headers.cat == NGHTTP2_HCAT_HEADERS)
        append(&answer_of(arg, frame->hd.stream_id)->headers, "--\n", 3);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *arg)
{
    (void)session;
    (void)flags;
    append(&answer_of(arg, id)->body, data, len);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    (void)session;
    struct http2_peer *peer = arg;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        peer->got_goaway = true;
        peer->goaway_code = frame->goaway.error_code;
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        answer_of(peer, frame->hd.stream_id)->has_ended = true;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    (void)session;
    struct peer_answer *answer = answer_of(arg, id);
    answer->is_closed = true;
    answer->close_code = code;
    return 0;
}

void http2_peer_init(struct http2_peer *peer)
{
    *peer = (struct http2_peer){0};
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_client_new(&peer->session, callbacks, peer) != 0 ||
        nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, NULL, 0) != 0 ||
        sl_grpc_wire.open(&peer->connection, &peer->wire, NULL) != 0)
        abort();
    nghttp2_session_callbacks_del(callbacks);
}

void http2_peer_done(struct http2_peer *peer)
{
    nghttp2_session_del(peer->session);
    sl_grpc_wire.close(peer->wire);
    fake_connection_done(&peer->connection);
    for (size_t i = 0; i < PEER_STREAMS_MAX; i++) {
        sl_bytes_done(&peer->answers[i].headers);
        sl_bytes_done(&peer->answers[i].body);
    }
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf, size_t len,
                         uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    (void)session;
    (void)source;
    struct peer_answer *answer = answer_of(arg, id);
    size_t left = answer->to_send.len - answer->sent;
    if (left == 0 && answer->stays_open)
        return NGHTTP2_ERR_DEFERRED;
    size_t n = left < len ? left : len;
    if (n)
        memcpy(buf, answer->to_send.data + answer->sent, n);
    answer->sent += n;
    if (n == left && !answer->stays_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static const char *value_for(const struct peer_header *extra, const struct peer_header *usual)
{
    for (; extra && extra->name; extra++)
        if (strcmp(extra->name, usual->name) == 0)
            return extra->value;
    return usual->value;
}

static bool is_usual(const char *name, const struct peer_header *usual, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(usual[i].name, name) == 0)
            return true;
    return false;
}

static nghttp2_nv make(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

int32_t http2_peer_ask(struct http2_peer *peer, const struct peer_header *extra,
                       struct sl_span body, bool stays_open)
{
    static const struct peer_header usual[] = {
        {":method", "POST"},
        {":scheme", "http"},
        {":path", "/keyprovider.KeyProviderService/UnWrapKey"},
        {":authority", "localhost"},
        {"content-type", "application/grpc"},
        {"te", "trailers"},
    };
    size_t n_usual = sizeof(usual) / sizeof(usual[0]), n = 0;
    nghttp2_nv headers[HEADERS_MAX];
    for (size_t i = 0; i < n_usual; i++) {
        const char *value = value_for(extra, &usual[i]);
        if (value)
            headers[n++] = make(usual[i].name, value);
    }
    for (; extra && extra->name; extra++)
        if (extra->value && !is_usual(extra->name, usual, n_usual))
            headers[n++] = make(extra->name, extra->value);
    nghttp2_data_provider provider = {.read_callback = read_body};
    int32_t id = nghttp2_submit_request(peer->session, NULL, headers, n, &provider, NULL);
    struct peer_answer *answer = answer_of(peer, id);
    answer->to_send = body;
    answer->stays_open = stays_open;
    return id;
}

static void feed(struct http2_peer *peer, const uint8_t *data, size_t len)
{
    if (peer->record)
        append(peer->record, data, len);
    size_t chunk = peer->chunk ? peer->chunk : len;
    while (len && peer->input_r == 0) {
        size_t n = len < chunk ? len : chunk;
        peer->input_r = sl_grpc_wire.input(peer->wire, (struct sl_span){data, n}, &peer->error);
        data += n;
        len -= n;
    }
}

static bool drain(struct http2_peer *peer)
{
    struct sl_span out = {0};
    if (sl_grpc_wire.output(peer->wire, &out, &peer->error) < 0)
        return false;
    if (out.len && nghttp2_session_mem_recv(peer->session, out.data, out.len) < 0)
        abort();
    return out.len > 0;
}

void http2_peer_pump(struct http2_peer *peer)
{
    for (bool is_busy = true; is_busy;) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(peer->session, &data);
        if (n < 0)
            abort();
        if (n > 0 && peer->input_r == 0)
            feed(peer, data, (size_t)n);
        is_busy = drain(peer) || (n > 0 && peer->input_r == 0);
    }
}
