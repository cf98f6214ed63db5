/* SPDX-License-Identifier: Apache-2.0 */
/* Everybody who may answer for a key, put together from a caller's options: the ring, the broker,
 * the key providers and the wires to them. */
#pragma once

#include "sluice/kbc.h"
#include "sluice/key_provider.h"
#include "sluice/key_unwrap.h"
#include "sluice/pipeline.h"

struct sl_key_access {
    struct sl_key_ring *ring;        /* ready to unwrap */
    struct sl_kbc *kbc;              /* or NULL */
    struct sl_providers *providers;  /* never NULL once open */
    struct sl_provider_wires *wires; /* key_access.c's: the rpc clients, one for each provider */
    struct sl_providers *hub; /* the upstream hub, which is a provider too; NULL: there is none */
    struct sl_provider_wires *hub_wires;
};
/* Wrong options are told here, also where no key will be needed. Whoever waits for a provider waits
 * until cancel_fd (core/cancel.h; borrowed; -1: none) is readable at most. */
SL_MUST_CHECK int sl_key_access_open(const struct sl_key_options *options, int cancel_fd,
                                     struct sl_key_access *ret, struct sl_error *err);
/* The broker alone, for its resources. *ret stays NULL when none was named. */
SL_MUST_CHECK int sl_key_access_open_broker(const struct sl_key_options *options,
                                            struct sl_kbc **ret, struct sl_error *err);
void sl_key_access_done(struct sl_key_access *access);
SL_DEFINE_AUTO_DONE(sl_key_access, sl_key_access_done)
