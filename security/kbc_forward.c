/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every broker we do not speak to ourselves, through somebody who does: a confidential data hub. It
 * knows resources only; a KEK is one of 32 bytes, as it is for the hub's own unwrapping.
 */
#include "kbc_broker.h"

#include <stdlib.h>

static int forward_open(const struct sl_kbc_options *options, const char *uri, void **ret,
                        struct sl_error *err)
{
    (void)uri; /* the hub's own configuration says where the broker is */
    struct sl_kbc_forward *forward = malloc(sizeof(*forward));
    if (!forward)
        return sl_error_oom(err);
    *forward = *options->forward;
    *options->forward = (struct sl_kbc_forward){0};
    *ret = forward;
    return 0;
}

static void forward_close(void *broker)
{
    struct sl_kbc_forward *forward = broker;
    if (forward)
        forward->close(forward->arg);
    free(forward);
}

static int forward_get(void *broker, const struct sl_resource_uri *uri, struct sl_bytes *ret,
                       struct sl_error *err)
{
    const struct sl_kbc_forward *forward = broker;
    SL_AUTO_FREE char *text = sl_resource_uri_format(uri);
    return text ? forward->get_resource(forward->arg, text, ret, err) : sl_error_oom(err);
}

const struct sl_kbc_broker sl_kbc_forwarded = {
    .name = "upstream",
    .label = "upstream",
    .open = forward_open,
    .close = forward_close,
    .get_kek = forward_get,
    .get_resource = forward_get,
};
