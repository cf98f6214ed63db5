/* SPDX-License-Identifier: Apache-2.0 */
/* The configured providers, and what asking them needs. */
#pragma once

#include "answer_cache.h"
#include "sluice/key_provider.h"

#include <stdatomic.h>

struct sl_providers {
    struct sl_provider *list;
    size_t n;
    atomic_llong
        *silent_until;         /* of each in the list, CLOCK_MONOTONIC milliseconds; 0: it is not */
    sl_provider_call_fn *call; /* of grpc and ttrpc; NULL: they cannot be reached */
    void *call_arg;
    int deadline_ms;
    int cancel_fd;
    struct sl_answer_cache *unwrapped;
};

enum { SL_PROVIDER_DEADLINE_MS = 60 * 1000 };
