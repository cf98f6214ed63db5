/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics and /healthz, for Prometheus and whoever looks after the machine: this machine only,
 * and nothing is told that names an image. */
#pragma once

#include "sluice/core/bytes.h"

struct sl_metrics_endpoint_options {
    const char *address; /* "unix:///PATH", "HOST:PORT" of this machine */
    /* On the endpoint's thread; must not block for long. */
    int (*metrics)(void *arg, struct sl_bytes *ret, struct sl_error *err);
    bool (*is_healthy)(void *arg);
    void *arg;
};

struct sl_metrics_endpoint;
/* One thread, which sleeps until somebody asks. *ret_address (may be NULL, to be freed) is the
 * address with the real port. */
SL_MUST_CHECK int sl_metrics_endpoint_start(const struct sl_metrics_endpoint_options *options,
                                            struct sl_metrics_endpoint **ret, char **ret_address,
                                            struct sl_error *err);
struct sl_metrics_endpoint *sl_metrics_endpoint_stop(struct sl_metrics_endpoint *endpoint);
SL_DEFINE_AUTO(sl_metrics_endpoint, sl_metrics_endpoint_stop)
