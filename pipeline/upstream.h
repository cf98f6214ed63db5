/* SPDX-License-Identifier: Apache-2.0 */
/* A confidential data hub that is asked for resources by ttrpc: api.GetResourceService. */
#pragma once

#include "sluice/kbc.h"

/* target: as of sl_rpc_client_new(). Contacts nobody. cancel_fd: core/cancel.h; borrowed. ret's
 * close() frees everything. */
SL_MUST_CHECK int sl_upstream_open(const char *target, int cancel_fd, int timeout_ms,
                                   struct sl_kbc_forward *ret, struct sl_error *err);
