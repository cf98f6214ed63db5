/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

static int grpc_open(struct sl_connection *connection, struct sl_wire **ret, struct sl_error *err)
{
    (void)connection;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "gRPC is not there yet");
}

const struct sl_wire_ops sl_grpc_wire = {.name = "grpc", .open = grpc_open};
