/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/2 client in memory, by nghttp2, joined to a wire without a socket. */
#pragma once

#include "fake_connection.h"

#include <nghttp2/nghttp2.h>

enum { PEER_STREAMS_MAX = 512 };

/* What came back on a stream. */
struct peer_answer {
    struct sl_bytes headers; /* "name: value\n" of each, trailers behind "--\n" */
    struct sl_bytes body;
    struct sl_span to_send; /* the request's body */
    size_t sent;
    bool has_ended;  /* the server's side */
    bool stays_open; /* our side, when all is sent */
    bool is_closed;  /* both sides */
    uint32_t close_code;
};

struct http2_peer {
    nghttp2_session *session;
    struct sl_connection connection;
    struct sl_wire *wire;
    struct peer_answer answers[PEER_STREAMS_MAX]; /* by stream id */
    size_t chunk;                                 /* bytes for one input(); 0: all there are */
    struct sl_bytes *record;                      /* what was sent to the wire; or NULL */
    bool got_goaway;
    uint32_t goaway_code;
    int input_r; /* of the input() that failed */
    struct sl_error error;
};

struct peer_header {
    const char *name, *value;
};

void http2_peer_init(struct http2_peer *peer);
void http2_peer_done(struct http2_peer *peer);
/* Opens a stream with the usual headers of a gRPC call, those with the same names replaced (a NULL
 * value: left out) and others added. extra is ended by a NULL name, and may be NULL. body is lent.
 * Returns the stream's id. */
int32_t http2_peer_ask(struct http2_peer *peer, const struct peer_header *extra,
                       struct sl_span body, bool stays_open);
/* Bytes in both directions until nobody has any, or the wire has failed. */
void http2_peer_pump(struct http2_peer *peer);
