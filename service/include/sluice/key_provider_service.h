/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server side of keyprovider.KeyProviderService (WrapKey, UnWrapKey), as coco_keyprovider and
 * the confidential data hub offer it together, and of api.GetResourceService beside it.
 */
#pragma once

#include "sluice.h"
#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

struct sl_key_service_options {
    const char *const *listen;      /* addresses of rpc.h, NULL-terminated */
    bool allow_any_address;         /* else loopback and unix sockets only */
    struct sluice_key_options keys; /* kbc NULL: offline_fs_kbc::null */
    /* Called once all addresses are listened on, with the real ones. */
    void (*ready)(void *arg, const char *const *addresses);
    void *ready_arg;
};

struct sl_key_service;
SL_MUST_CHECK int sl_key_service_start(const struct sl_key_service_options *options,
                                       struct sl_key_service **ret, struct sl_error *err);
/* Lets calls in flight end for a moment. */
struct sl_key_service *sl_key_service_stop(struct sl_key_service *service);
SL_DEFINE_AUTO(sl_key_service, sl_key_service_stop)
