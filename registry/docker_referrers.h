/* SPDX-License-Identifier: Apache-2.0 */
/* The referrers API (distribution-spec 1.1, "Listing Referrers"). */
#pragma once

#include "docker_endpoint.h"
#include "referrers.h"

/* Appends all pages, which stay on the server: at most SL_REFERRERS_MAX entries, SL_MANIFEST_MAX
 * bytes. 1; or 0 when the registry has no such API. The endpoint is ready. */
SL_MUST_CHECK int sl_docker_referrers(struct sl_docker_endpoint *ep,
                                      const struct sl_digest *subject, struct sl_referrers *list,
                                      struct sl_error *err);
