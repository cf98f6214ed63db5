/* SPDX-License-Identifier: Apache-2.0 */
/* Plays rpc/server.c for one wire: notes the calls it is given and answers none. */
#pragma once

#include "connection.h"

enum { FAKE_CALLS_MAX = 256 };

struct fake_call {
    uint32_t stream;
    char *service, *method;
    struct sl_bytes message;
    int64_t timeout_ns;
    char *metadata; /* "name=value\n" of each */
    bool is_abandoned;
};

struct sl_connection {
    struct fake_call calls[FAKE_CALLS_MAX];
    size_t n_calls;
    size_t n_answered;     /* for whoever answers them in turn */
    bool is_out_of_memory; /* fails the next call */
};

void fake_connection_done(struct sl_connection *connection);
