/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.ImagePullService: a request to pull an image into a bundle, from its message to its answer.
 * What kata's agent counts on: texts of errors, <bundle>/rootfs mounted and writable, the same
 * request twice is no error, and the measurement of what was pulled.
 */
#pragma once

#include "jobs.h"
#include "sluice/rpc.h"

struct sl_pull_service;
SL_MUST_CHECK int sl_pull_service_new(struct sl_jobs *jobs, struct sl_backend *backend,
                                      struct sl_metrics *metrics, struct sl_pull_service **ret,
                                      struct sl_error *err);
/* Waits for requests that are being answered: the server has stopped, and jobs, backend and the
 * server itself are still there. */
struct sl_pull_service *sl_pull_service_free(struct sl_pull_service *service);
SL_DEFINE_AUTO(sl_pull_service, sl_pull_service_free)
extern const char sl_pull_service_name[]; /* "api.ImagePullService" */
extern const char *const sl_pull_service_methods[];
/* Has the type of sl_rpc_handler_fn; arg is the service. */
void sl_pull_service_handle(void *service, struct sl_rpc_call *call);
