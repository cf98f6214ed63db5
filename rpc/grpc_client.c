/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

static int grpc_open(const char *target, const struct sl_rpc_tls *tls, struct sl_client_wire **ret,
                     struct sl_error *err)
{
    (void)tls;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "%s: gRPC is not there yet", target);
}

const struct sl_client_ops sl_grpc_client = {.open = grpc_open};
