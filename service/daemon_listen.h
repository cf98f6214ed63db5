/* SPDX-License-Identifier: Apache-2.0 */
/* Where the daemon listens. */
#pragma once

#include "sluice/config.h"
#include "sluice/rpc.h"

/* On the hub's socket and all others of the configuration. Folders of sockets are made, as the hub
 * makes its own. *ret, a NULL-terminated list, has the real addresses. */
SL_MUST_CHECK int sl_daemon_listen(struct sl_rpc_server *server, const struct sl_config *config,
                                   char ***ret, struct sl_error *err);
void sl_daemon_addresses_free(char **addresses);
/* That of the socket at an address with "unix://" in it; others have none. */
SL_MUST_CHECK int sl_daemon_make_folder(const char *address, struct sl_error *err);
