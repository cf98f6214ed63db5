/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam inside an RPC server: server.c owns threads, sockets, listeners, limits and the life of
 * calls; a wire (ttrpc_wire.c, grpc_wire.c) turns bytes into calls and answers into bytes. All of
 * a wire runs on the server's thread.
 */
#pragma once

#include "sluice/rpc.h"

struct sl_connection; /* server.c's: one accepted socket */

struct sl_wire; /* embedded first in the wire's own struct */

/* Lent, all of it. */
struct sl_wire_answer {
    int status; /* of the field, also one that enum sl_rpc_status has no name for */
    struct sl_span message;
    struct sl_span text, details; /* of a refusal; details as in struct sl_rpc_reply */
};

struct sl_wire_ops {
    const char *name; /* "grpc", "ttrpc" */
    /* A connection begins. */
    int (*open)(struct sl_connection *connection, struct sl_wire **ret, struct sl_error *err);
    /* Bytes have come. Takes all of them; complete requests go to sl_connection_call(). Failure
     * closes the connection once pending output is sent. */
    int (*input)(struct sl_wire *wire, struct sl_span bytes, struct sl_error *err);
    /* Bytes to be sent: *ret is lent until the next output() or close(), and all of it is sent
     * before that. An empty span: nothing now. */
    int (*output)(struct sl_wire *wire, struct sl_span *ret, struct sl_error *err);
    /* The answer to stream, which may have gone meanwhile. Copies what it needs; wipes its copy
     * once sent. */
    int (*answer)(struct sl_wire *wire, uint32_t stream, const struct sl_wire_answer *answer,
                  struct sl_error *err);
    /* No more requests are taken; calls in flight end (GOAWAY in HTTP/2). May be NULL. */
    void (*shut)(struct sl_wire *wire);
    /* True when nothing is left to be sent and no more can come, neither from the peer nor as an
     * answer that he would get. */
    bool (*is_idle)(const struct sl_wire *wire);
    /* True when a request has begun to come and is not complete: the peer has a limited time to go
     * on. May be NULL. */
    bool (*is_partial)(const struct sl_wire *wire);
    /* Bytes that wait to be sent, also those the peer gives no room for: a peer that leaves too
     * many or lets them wait too long is cut off. May be NULL. */
    size_t (*pending)(const struct sl_wire *wire);
    /* Bytes of requests that are not yet whole. May be NULL. */
    size_t (*held)(const struct sl_wire *wire);
    void (*close)(struct sl_wire *wire); /* frees; wipes what may be secret */
};

struct sl_wire {
    const struct sl_wire_ops *ops;
};

extern const struct sl_wire_ops sl_ttrpc_wire, sl_grpc_wire;

/* For a wire, inside its input(): a request is complete. Strings and bytes are copied. metadata:
 * lower-case names. timeout_ns 0: none. Limits on calls in flight, unknown services and unknown
 * methods are answered by the server, through ops->answer, once input() has returned. */
struct sl_wire_request {
    uint32_t stream;
    struct sl_span service, method;
    struct sl_span message;
    int64_t timeout_ns;
    const struct sl_pair *metadata;
    size_t n_metadata;
};
SL_MUST_CHECK int sl_connection_call(struct sl_connection *connection,
                                     const struct sl_wire_request *request, struct sl_error *err);
/* The client no longer wants stream's answer (RST_STREAM). */
void sl_connection_abandon(struct sl_connection *connection, uint32_t stream);
