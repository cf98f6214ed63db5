/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote procedure calls, both ends: gRPC (HTTP/2: libcurl asks, nghttp2 answers) and ttrpc
 * (containerd's framing, own code: there is no C library). Unary calls only. Messages are bytes
 * here; what they mean is their users' business.
 */
#pragma once

#include "sluice/core/bytes.h"

/* The status codes of gRPC, which ttrpc shares. */
enum sl_rpc_status {
    SL_RPC_OK = 0,
    SL_RPC_CANCELLED = 1,
    SL_RPC_UNKNOWN = 2,
    SL_RPC_INVALID_ARGUMENT = 3,
    SL_RPC_DEADLINE_EXCEEDED = 4,
    SL_RPC_NOT_FOUND = 5,
    SL_RPC_PERMISSION_DENIED = 7,
    SL_RPC_RESOURCE_EXHAUSTED = 8,
    SL_RPC_FAILED_PRECONDITION = 9,
    SL_RPC_ABORTED = 10,
    SL_RPC_UNIMPLEMENTED = 12,
    SL_RPC_INTERNAL = 13,
    SL_RPC_UNAVAILABLE = 14,
};

enum {
    SL_RPC_MESSAGE_MAX = 4 * 1024 * 1024, /* bytes of a message or frame, both protocols */
    SL_RPC_STATUS_TEXT_MAX = 4096,        /* bytes of a peer's status message that are looked at */
};

enum sl_rpc_protocol { SL_RPC_GRPC, SL_RPC_TTRPC };

/* ---- asking ---- */

struct sl_rpc_tls {
    bool enabled;
    const char *root_ca_file; /* NULL: the platform's */
    const char *cert_file, *key_file;
    const char *server_name; /* NULL: the target's host */
    bool insecure_skip_verify;
};

/* One server. Connections are opened when needed and kept for later calls; calls of several
 * threads go side by side. */
struct sl_rpc_client;
/* target: gRPC "HOST:PORT", "dns:///HOST:PORT", "http://HOST:PORT", "tcp://HOST:PORT",
 * "unix:PATH", "unix:///PATH"; ttrpc "unix:///PATH", "unix://@ABSTRACT", "/PATH",
 * "vsock://CID:PORT", "tcp://HOST:PORT". Contacts nobody. tls may be NULL; ttrpc has none. */
SL_MUST_CHECK int sl_rpc_client_new(enum sl_rpc_protocol protocol, const char *target,
                                    const struct sl_rpc_tls *tls, struct sl_rpc_client **ret,
                                    struct sl_error *err);
/* No call may be running. */
struct sl_rpc_client *sl_rpc_client_free(struct sl_rpc_client *client);
SL_DEFINE_AUTO(sl_rpc_client, sl_rpc_client_free)
/* Calls end soon, with SL_E_CANCELLED, once cancel_fd (core/cancel.h; borrowed) is readable. Before
 * the first call. */
void sl_rpc_client_set_cancel_fd(struct sl_rpc_client *client, int cancel_fd);
/* Blocks, at most deadline_ms in all, and the server is told so. *ret may be secret: the caller
 * wipes it; copies made here are wiped. Fails with SL_E_NETWORK when there is no answer (ETIMEDOUT
 * at the deadline) or the answer is nonsense, and with SL_E_AUTH when the server's status is not
 * OK: the message is then its text, and *ret_status (may be NULL) the status. Any thread. */
SL_MUST_CHECK int sl_rpc_call(struct sl_rpc_client *client, const char *service, const char *method,
                              struct sl_span request, int deadline_ms, struct sl_bytes *ret,
                              enum sl_rpc_status *ret_status, struct sl_error *err);

/* ---- answering ---- */

/* A call that waits for its answer. It is answered exactly once, from any thread. */
struct sl_rpc_call;
const char *
sl_rpc_call_service(const struct sl_rpc_call *call); /* "keyprovider.KeyProviderService" */
const char *sl_rpc_call_method(const struct sl_rpc_call *call); /* "UnWrapKey" */
struct sl_span sl_rpc_call_request(const struct sl_rpc_call *call);
/* Value of request metadata (headers), or NULL. */
const char *sl_rpc_call_metadata(const struct sl_rpc_call *call, const char *name);
/* CLOCK_MONOTONIC milliseconds by which the client wants its answer; 0: it did not say. */
int64_t sl_rpc_call_deadline(const struct sl_rpc_call *call);
/* True once the client has gone, cancelled, or run out of time. Any thread. */
bool sl_rpc_call_is_abandoned(const struct sl_rpc_call *call);
/* Copies the message, wipes the copy and the request once sent, and frees the call. */
void sl_rpc_call_answer(struct sl_rpc_call *call, struct sl_span message);
void sl_rpc_call_refuse(struct sl_rpc_call *call, enum sl_rpc_status status, const char *message);

/* Called on the server's thread, must not block: hand long work to a worker. */
typedef void sl_rpc_handler_fn(void *arg, struct sl_rpc_call *call);

struct sl_rpc_service {
    const char *name; /* full: "keyprovider.KeyProviderService" */
    /* Methods served; NULL-terminated. Others of this service: UNIMPLEMENTED. */
    const char *const *methods;
    sl_rpc_handler_fn *handle;
    void *arg;
};

struct sl_rpc_server_options {
    const struct sl_rpc_service *services; /* ended by a NULL name; borrowed */
    bool allow_any_address;                /* else only loopback and unix sockets are listened on */
    unsigned max_connections;              /* 0: 256 */
    unsigned max_calls;                    /* in flight over all connections; 0: 1024 */
};

/* One thread serves all connections of all listeners. */
struct sl_rpc_server;
SL_MUST_CHECK int sl_rpc_server_new(const struct sl_rpc_server_options *options,
                                    struct sl_rpc_server **ret, struct sl_error *err);
/* address: "grpc://HOST:PORT" (port 0: any), "grpc+unix:///PATH", "ttrpc+unix:///PATH",
 * "ttrpc+unix://@ABSTRACT", "ttrpc+vsock://CID:PORT", "ttrpc://HOST:PORT". A unix socket has mode
 * 0600; a stale socket file is replaced, one that somebody listens on is not. *ret_address (may be
 * NULL, to be freed) is the address with the real port. Before the start. */
SL_MUST_CHECK int sl_rpc_server_listen(struct sl_rpc_server *server, const char *address,
                                       char **ret_address, struct sl_error *err);
SL_MUST_CHECK int sl_rpc_server_start(struct sl_rpc_server *server, struct sl_error *err);
/* Stops listening, lets calls in flight end for at most drain_ms, closes, removes its socket files.
 */
void sl_rpc_server_stop(struct sl_rpc_server *server, int drain_ms);
/* Calls that were not answered must not be answered any more. */
struct sl_rpc_server *sl_rpc_server_free(struct sl_rpc_server *server);
SL_DEFINE_AUTO(sl_rpc_server, sl_rpc_server_free)

/* ---- messages that consist of one field (protobuf-c) ---- */

/* KeyProviderKeyWrapProtocolInput and -Output: bytes field 1. Also api.GetResource's: string 1 and
 * bytes 1. The results may be secret. */
SL_MUST_CHECK int sl_rpc_bytes_message_pack(struct sl_span field, struct sl_bytes *ret,
                                            struct sl_error *err);
SL_MUST_CHECK int sl_rpc_bytes_message_unpack(struct sl_span message, struct sl_bytes *ret,
                                              struct sl_error *err);
