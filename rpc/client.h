/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam inside an RPC client: client.c owns the public calls and what a status means; a
 * protocol (ttrpc_client.c, grpc_client.c) owns connections and turns one question into one reply.
 */
#pragma once

#include "sluice/rpc.h"

#include "sluice/core/cancel.h"
#include "sluice/core/clock.h"

/* Embedded first in the protocol's own struct. */
struct sl_client_wire {
    const struct sl_client_ops *ops;
};

struct sl_client_question {
    const char *service, *method;
    struct sl_span request;         /* the encoded message, at most SL_RPC_MESSAGE_MAX bytes */
    int64_t deadline;               /* CLOCK_MONOTONIC milliseconds */
    int cancel_fd;                  /* see cancel.h; it was not readable a moment ago */
    const struct sl_pair *metadata; /* ttrpc only */
    size_t n_metadata;
};

struct sl_client_ops {
    /* Checks target and tls, copies what it keeps, contacts nobody. A target it cannot read is
     * SL_E_FORMAT and EINVAL, TLS that the protocol does not have is SL_E_UNSUPPORTED. */
    int (*open)(const char *target, const struct sl_rpc_tls *tls, struct sl_client_wire **ret,
                struct sl_error *err);
    /* 0 when the server answered, also with a status other than OK; *ret was zero, and the caller
     * wipes it whatever is returned. SL_E_NETWORK when there is no answer (ETIMEDOUT at the
     * deadline) or it is nonsense, SL_E_CANCELLED soon after cancel_fd became readable; client.c
     * puts the target's name before the message. Several threads at once. */
    int (*call)(struct sl_client_wire *wire, const struct sl_client_question *question,
                struct sl_rpc_reply *ret, struct sl_error *err);
    void (*close)(struct sl_client_wire *wire);
};

extern const struct sl_client_ops sl_ttrpc_client, sl_grpc_client;

/* As the ops' call, for any client; fails with the target's name in the message. */
SL_MUST_CHECK int sl_client_ask(struct sl_rpc_client *client,
                                const struct sl_client_question *question, struct sl_rpc_reply *ret,
                                struct sl_error *err);
