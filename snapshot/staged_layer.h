/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "staging.h"
#include "store_records.h"

struct sl_staged_layer {
    struct sl_store *store;
    struct sl_staging_entry entry; /* staging/<id>/; after the commit layers/…/ by entry.fd */
    int fs;                        /* …/fs */
    int hold;                      /* of the layer of the same content that was there before */
    struct sl_layer_notes notes;
    uint64_t opened_ns;           /* before the first file: what failed since then fs hears of */
    struct sl_staging_entry blob; /* while it is committed: the record of its blob */
};
