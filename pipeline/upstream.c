/* SPDX-License-Identifier: Apache-2.0 */
#include "upstream.h"

#include "sluice/core/cleanup.h"
#include "sluice/rpc.h"

#include <stdlib.h>

struct upstream {
    struct sl_rpc_client *client;
    int timeout_ms;
};

static void upstream_close(void *arg)
{
    struct upstream *u = arg;
    (void)sl_rpc_client_free(u->client);
    free(u);
}

static int call(const struct upstream *u, struct sl_span request, struct sl_bytes *ret,
                struct sl_error *err)
{
    struct sl_bytes answer = {0};
    int r = sl_rpc_call(u->client, "api.GetResourceService", "GetResource", request, u->timeout_ms,
                        &answer, /* ret_status= */ NULL, err);
    if (r >= 0)
        r = sl_rpc_bytes_message_unpack(sl_bytes_span(&answer), ret, err);
    sl_bytes_wipe(&answer);
    return r;
}

static int get_resource(void *arg, const char *uri, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) request = {0};
    int r = sl_rpc_bytes_message_pack(sl_span_of(uri), &request, err);
    return r < 0 ? r : call(arg, sl_bytes_span(&request), ret, err);
}

int sl_upstream_open(const char *target, int cancel_fd, int timeout_ms, struct sl_kbc_forward *ret,
                     struct sl_error *err)
{
    struct upstream *u = calloc(1, sizeof(*u));
    if (!u)
        return sl_error_oom(err);
    int r = sl_rpc_client_new(SL_RPC_TTRPC, target, /* tls= */ NULL, &u->client, err);
    if (r < 0) {
        upstream_close(u);
        return sl_error_wrap(err, r, "upstream");
    }
    sl_rpc_client_set_cancel_fd(u->client, cancel_fd);
    u->timeout_ms = timeout_ms;
    *ret = (struct sl_kbc_forward){.get_resource = get_resource, .close = upstream_close, .arg = u};
    return 0;
}
