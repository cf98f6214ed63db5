/* SPDX-License-Identifier: Apache-2.0 */
/* One blob on its way to a registry: begun with POST, sent with one PATCH, named with PUT. */
#pragma once

#include "docker_endpoint.h"
#include "sink_ops.h"

/* upload() of struct sl_sink_ops. The endpoint need not be ready. */
SL_MUST_CHECK int sl_docker_upload_new(struct sl_docker_endpoint *ep, uint64_t size,
                                       const struct sl_upload_events *events,
                                       struct sl_blob_upload **ret, struct sl_error *err);
/* Takes back an upload that was begun in another way. Blocks for some seconds at most, and if it
 * cannot be done leaves it to the registry's own housekeeping. The endpoint is ready. */
void sl_docker_upload_take_back(struct sl_docker_endpoint *ep, const char *location);
