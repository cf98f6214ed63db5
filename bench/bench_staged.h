/* SPDX-License-Identifier: Apache-2.0 */
/* A staged layer that is any directory: unpacking without a store, and nothing synced. */
#pragma once

#include "staged_layer.h"

struct sl_bench_staged {
    struct sl_store store; /* of memory, as far as the layer knows */
    struct sl_staged_layer layer;
};

/* Points into itself: not to be copied afterwards. Borrows fd. */
static inline void sl_bench_staged_init(struct sl_bench_staged *s, int fd)
{
    *s = (struct sl_bench_staged){.store = {.fd = -1, .is_volatile = true},
                                  .layer = {.entry = SL_STAGING_ENTRY_NONE, .fs = fd, .hold = -1}};
    s->store.early_sync.store = &s->store;
    s->layer.store = &s->store;
}

static inline void sl_bench_staged_done(struct sl_bench_staged *s)
{
    sl_layer_notes_done(&s->layer.notes);
}
