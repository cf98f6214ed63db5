/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/control.h"

#include "control_service.h"

int sl_control_call(const char *address, const char *method, struct sl_span request,
                    int deadline_ms, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO(sl_rpc_client) client = NULL;
    SL_AUTO_DONE(sl_bytes) message = {0};
    SL_AUTO_DONE(sl_bytes) answer = {0};
    int r = sl_rpc_client_new(SL_RPC_TTRPC, address, /* tls= */ NULL, &client, err);
    if (r == 0)
        r = sl_rpc_bytes_message_pack(request, &message, err);
    if (r < 0)
        return r;
    r = sl_rpc_call(client, sl_control_name, method, sl_bytes_span(&message), deadline_ms, &answer,
                    /* ret_status= */ NULL, err);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return sl_error_wrap(err, r, "no service runs there (systemctl status sluiced)");
    return r < 0 ? r : sl_rpc_bytes_message_unpack(sl_bytes_span(&answer), ret, err);
}
