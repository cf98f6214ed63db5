/* SPDX-License-Identifier: Apache-2.0 */
/* Where a stream socket listens: a path, an abstract name, an IP address, a virtual machine. */
#pragma once

#include "sluice/core/error.h"

#include <stdbool.h>
#include <sys/socket.h>

struct sl_address {
    struct sockaddr_storage name;
    socklen_t len;
};

/* "/PATH" or "@NAME", an abstract one. what, here and below, is the whole text for messages. Errors
 * are SL_E_FORMAT and EINVAL. */
SL_MUST_CHECK int sl_address_unix(const char *path, const char *what, struct sl_address *ret,
                                  struct sl_error *err);
/* "HOST:PORT": an IP address (IPv6 in brackets) or "localhost". Other names are not looked up: that
 * could take any time. */
SL_MUST_CHECK int sl_address_tcp(const char *host_port, const char *what, struct sl_address *ret,
                                 struct sl_error *err);
/* "CID:PORT" */
SL_MUST_CHECK int sl_address_vsock(const char *cid_port, const char *what, struct sl_address *ret,
                                   struct sl_error *err);

/* The path of a socket file, or NULL. */
const char *sl_address_path(const struct sl_address *address);
/* Unix sockets and what only this machine can reach. */
bool sl_address_is_local(const struct sl_address *address);
/* "127.0.0.1:80", "[::1]:80", "CID:PORT", "/PATH", "@NAME": to be freed; NULL when out of memory.
 */
char *sl_address_format(const struct sl_address *address);
