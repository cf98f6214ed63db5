/* SPDX-License-Identifier: Apache-2.0 */
/* Names of gRPC servers, as key provider configurations have them. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_grpc_target {
    char *authority;   /* "HOST:PORT", an IPv6 address in brackets; "localhost" of a unix socket */
    const char *port;  /* within authority, behind the colon; NULL of a unix socket */
    char *socket_path; /* NULL: TCP */
};

/* The forms are listed in sluice/rpc.h. SL_E_FORMAT and EINVAL for any other. */
SL_MUST_CHECK int sl_grpc_target_parse(const char *text, struct sl_grpc_target *ret,
                                       struct sl_error *err);
void sl_grpc_target_done(struct sl_grpc_target *target);
SL_DEFINE_AUTO_DONE(sl_grpc_target, sl_grpc_target_done)

/* A host that can stand in a URL: a name, an IPv4 address, an IPv6 address in brackets. */
bool sl_grpc_is_host(struct sl_span text);
