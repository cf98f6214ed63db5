/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the pipeline may know of an engine. */
#pragma once

#include "sluice/pipeline.h"

struct sl_engine {
    struct sl_store *store;
    struct sl_registry *registry;
    struct sl_worker_pool *workers;
    struct sl_buf_pool *buffers;
    int cancel_fd; /* an eventfd that becomes, and stays, readable */
};

bool sl_engine_is_cancelled(const struct sl_engine *engine);
/* The words all parts use for it. */
int sl_engine_cancelled_error(struct sl_error *err);
