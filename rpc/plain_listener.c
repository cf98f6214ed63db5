/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/plain_listener.h"

#include "listener.h"

#include <stdlib.h>
#include <string.h>

static const char unix_scheme[] = "unix://";

struct sl_plain_listener {
    struct sl_listener listener;
};

int sl_plain_listener_open(const char *address, struct sl_plain_listener **ret,
                           struct sl_error *err)
{
    bool is_unix = strncmp(address, unix_scheme, strlen(unix_scheme)) == 0;
    SL_AUTO(sl_plain_listener) alloc = calloc(1, sizeof(*alloc));
    if (!alloc)
        return sl_error_oom(err);
    struct sl_listener *l = &alloc->listener;
    *l = (struct sl_listener){.fd = -1, .scheme = is_unix ? unix_scheme : ""};
    int r = is_unix ? sl_address_unix(address + strlen(unix_scheme), address, &l->address, err)
                    : sl_address_tcp(address, address, &l->address, err);
    if (r == 0)
        r = sl_listener_start(l, address, /* allow_any= */ false, err);
    if (r == 0)
        *ret = sl_steal(&alloc);
    return r;
}

struct sl_plain_listener *sl_plain_listener_close(struct sl_plain_listener *listener)
{
    if (listener)
        sl_listener_close(&listener->listener);
    free(listener);
    return NULL;
}

int sl_plain_listener_take_fd(struct sl_plain_listener *listener)
{
    return sl_steal_fd(&listener->listener.fd);
}

char *sl_plain_listener_address(const struct sl_plain_listener *listener)
{
    return sl_listener_address(&listener->listener);
}
