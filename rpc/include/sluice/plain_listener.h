/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket for a protocol that is not this room's, by the rules of
 * sl_rpc_server_listen(): who may be let in, modes, stale files. */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

struct sl_plain_listener;
/* address: "unix:///PATH", "HOST:PORT" of this machine (port 0: any). */
SL_MUST_CHECK int sl_plain_listener_open(const char *address, struct sl_plain_listener **ret,
                                         struct sl_error *err);
/* Closes the socket unless it was taken, and removes its file. */
struct sl_plain_listener *sl_plain_listener_close(struct sl_plain_listener *listener);
SL_DEFINE_AUTO(sl_plain_listener, sl_plain_listener_close)
/* The socket, non-blocking: the caller's from now on. */
int sl_plain_listener_take_fd(struct sl_plain_listener *listener);
/* With the real port, to be freed; NULL when out of memory. */
char *sl_plain_listener_address(const struct sl_plain_listener *listener);
