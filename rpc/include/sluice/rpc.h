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

/* What a server said to a call that was passed on to it. Secret. */
struct sl_rpc_reply {
    int status; /* of the field, also where enum sl_rpc_status has no name for it */
    struct sl_bytes message, text;
    struct sl_bytes details; /* google.rpc.Status's field 3, all of them as encoded; ttrpc only */
};
void sl_rpc_reply_done(struct sl_rpc_reply *reply);
SL_DEFINE_AUTO_DONE(sl_rpc_reply, sl_rpc_reply_done)

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
/* fn is called once, on the server's thread, when nobody waits for the answer any more: the client
 * has gone, has cancelled, or its time is up. Called at once, by the caller, when it is so already.
 * The call must be answered all the same, which fn itself may do. Once the answer is given fn is
 * not running and will not be called: do not hold a lock that fn takes while you answer. fn
 * replaces the one before; NULL: none, with the same promise once this returns. */
void sl_rpc_call_watch(struct sl_rpc_call *call, void (*fn)(void *arg), void *arg);
/* Asks another server, by ttrpc, what this call asks: service, method, bytes, metadata and the time
 * that is left (at most deadline_ms) go over as they are. An answer of any status is a success.
 * Ends soon with SL_E_CANCELLED when nobody waits for the call any more: it is watched meanwhile.
 * Fails as sl_rpc_call() does else. */
SL_MUST_CHECK int sl_rpc_call_forward(struct sl_rpc_call *call, struct sl_rpc_client *client,
                                      int deadline_ms, struct sl_rpc_reply *ret,
                                      struct sl_error *err);
/* Answers with what another server has said. */
void sl_rpc_call_relay(struct sl_rpc_call *call, const struct sl_rpc_reply *reply);
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
    /* Calls of services and methods that are not in the list; NULL: UNIMPLEMENTED. */
    sl_rpc_handler_fn *handle_unknown;
    void *unknown_arg;
    bool allow_any_address; /* else only loopback and unix sockets are listened on */
    /* Of each listener; 0: 256. Connections without a call give way to new ones, those that never
     * had one first; all together take at most half of the process' descriptors. */
    unsigned max_connections;
    unsigned max_calls; /* in flight over all connections; 0: 1024 */
    /* In flight on one connection, so that one client cannot take all; 0: 256. Of gRPC, 128. */
    unsigned max_connection_calls;
};

/* One thread serves all connections of all listeners. */
struct sl_rpc_server;
SL_MUST_CHECK int sl_rpc_server_new(const struct sl_rpc_server_options *options,
                                    struct sl_rpc_server **ret, struct sl_error *err);
/* address: "grpc://HOST:PORT" (port 0: any), "grpc+unix:///PATH", "ttrpc+unix:///PATH",
 * "ttrpc+unix://@ABSTRACT", "ttrpc+vsock://CID:PORT", "ttrpc://HOST:PORT". A unix socket has mode
 * 0600; a stale socket file is replaced, one that somebody listens on is not, nor is anything else;
 * missing folders are made below /run, with mode 0755. *ret_address (may be NULL, to be freed) is
 * the address with the real port. Before the start. */
SL_MUST_CHECK int sl_rpc_server_listen(struct sl_rpc_server *server, const char *address,
                                       char **ret_address, struct sl_error *err);
/* The form of such an address, and that others than this machine cannot reach it (SL_E_POLICY);
 * nothing is opened. */
SL_MUST_CHECK int sl_rpc_address_check(const char *address, struct sl_error *err);
SL_MUST_CHECK int sl_rpc_server_start(struct sl_rpc_server *server, struct sl_error *err);
/* True when the server's thread has come round since the last time it was asked; wakes it for the
 * next time. For watchdogs. */
bool sl_rpc_server_is_alive(struct sl_rpc_server *server);
/* Stops listening, lets calls in flight end for at most drain_ms, closes, removes its socket files.
 */
void sl_rpc_server_stop(struct sl_rpc_server *server, int drain_ms);
/* Calls that were not answered must not be answered any more. */
struct sl_rpc_server *sl_rpc_server_free(struct sl_rpc_server *server);
SL_DEFINE_AUTO(sl_rpc_server, sl_rpc_server_free)

/* ---- the guest's own messages (protobuf-c): proto/api.proto, proto/attestation_agent.proto ----
 */

/* ImagePullRequest. Unknown fields are skipped; a text over limits or with a NUL in it is refused.
 */
struct sl_pull_request {
    char *image_url, *bundle_path; /* owned; "" when absent */
};
enum { SL_PULL_IMAGE_MAX = 4096, SL_PULL_BUNDLE_MAX = 4095 };
SL_MUST_CHECK int sl_pull_request_unpack(struct sl_span message, struct sl_pull_request *ret,
                                         struct sl_error *err);
void sl_pull_request_done(struct sl_pull_request *request);
SL_DEFINE_AUTO_DONE(sl_pull_request, sl_pull_request_done)
/* ImagePullResponse. */
SL_MUST_CHECK int sl_pull_response_pack(const char *manifest_digest, struct sl_bytes *ret,
                                        struct sl_error *err);
/* ExtendRuntimeMeasurementRequest, and the result of its answer: 0 OK, 1 NOT_SUPPORTED, 2
 * NOT_ENABLED. */
SL_MUST_CHECK int sl_measurement_pack(const char *domain, const char *operation,
                                      const char *content, struct sl_bytes *ret,
                                      struct sl_error *err);
SL_MUST_CHECK int sl_measurement_answer_unpack(struct sl_span message, int *ret_result,
                                               struct sl_error *err);

/* ---- messages that consist of one field (protobuf-c) ---- */

/* KeyProviderKeyWrapProtocolInput and -Output: bytes field 1. Also api.GetResource's: string 1 and
 * bytes 1. The results may be secret. */
SL_MUST_CHECK int sl_rpc_bytes_message_pack(struct sl_span field, struct sl_bytes *ret,
                                            struct sl_error *err);
SL_MUST_CHECK int sl_rpc_bytes_message_unpack(struct sl_span message, struct sl_bytes *ret,
                                              struct sl_error *err);
