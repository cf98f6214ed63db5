/* SPDX-License-Identifier: Apache-2.0 */
/* The index under the tag sha256-HEX, where registries without the referrers API keep what they
 * know nothing of (distribution-spec 1.1, "Referrers Tag Schema"). */
#pragma once

#include "docker_endpoint.h"
#include "layout_index.h"

/* Adds an entry unless it is there, or the registry lists it by itself. The endpoint is ready. */
SL_MUST_CHECK int sl_docker_list_referrer(struct sl_docker_endpoint *ep,
                                          const struct sl_layout_entry *entry,
                                          const struct sl_digest *subject, struct sl_error *err);
