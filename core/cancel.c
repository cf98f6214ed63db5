/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/cancel.h"

struct pollfd sl_cancel_pollfd(int cancel_fd)
{
    return (struct pollfd){.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN};
}

bool sl_cancel_is_asked(int cancel_fd)
{
    struct pollfd p = sl_cancel_pollfd(cancel_fd);
    return poll(&p, 1, /* timeout= */ 0) > 0;
}

int sl_cancel_error(struct sl_error *err)
{
    return sl_error_set(err, SL_E_CANCELLED, ECANCELED, "cancelled");
}
