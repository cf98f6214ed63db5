/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the hub that knows of keys and resources: api.GetResourceService and
 * keyprovider.KeyProviderService, for a server that others share. Whom to ask is what the newest
 * configuration says. */
#pragma once

#include "backend.h"
#include "sluice/rpc.h"

struct sl_hub_keys;
/* Contacts nobody. has_upstream: what is not served here is the upstream's to refuse. */
SL_MUST_CHECK int sl_hub_keys_new(struct sl_backend *backend, bool has_upstream,
                                  struct sl_hub_keys **ret, struct sl_error *err);
/* Nobody may call any more; waits until every call is answered. */
struct sl_hub_keys *sl_hub_keys_free(struct sl_hub_keys *hub);
SL_DEFINE_AUTO(sl_hub_keys, sl_hub_keys_free)
enum { SL_HUB_KEYS_SERVICES = 2 };
void sl_hub_keys_services(struct sl_hub_keys *hub, struct sl_rpc_service out[SL_HUB_KEYS_SERVICES]);
