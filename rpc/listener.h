/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket, and who may come in through it. */
#pragma once

#include "address.h"
#include "connection.h"

#include <sys/types.h>

struct sl_listener {
    int fd;
    const struct sl_wire_ops *wire;
    const char *scheme; /* what stands before the address */
    struct sl_address address;
    dev_t dev; /* of the socket file, if there is one: what is removed at the end */
    ino_t ino;
};

/* address as sl_rpc_server_listen() has it; on failure *ret is untouched. */
SL_MUST_CHECK int sl_listener_open(const char *address, bool allow_any, struct sl_listener *ret,
                                   struct sl_error *err);
/* The same with an address that is parsed already; what is its text for messages. */
SL_MUST_CHECK int sl_listener_start(struct sl_listener *listener, const char *what, bool allow_any,
                                    struct sl_error *err);
/* The address with the real port, to be freed; NULL when out of memory. */
char *sl_listener_address(const struct sl_listener *listener);
/* A connection, non-blocking. -EAGAIN when nobody waits, -EACCES when whoever did may not come in,
 * else a negative errno. */
SL_MUST_CHECK int sl_listener_accept(const struct sl_listener *listener);
/* Closes, and removes the socket file unless it is somebody else's by now. */
void sl_listener_close(struct sl_listener *listener);
