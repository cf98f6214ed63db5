/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller gets lies in one allocation, texts and all, so that one free() ends it: a function
 * tells its contents twice, first to be measured, then to be placed. */
#pragma once

#include "sluice/core/digest.h"

/* Everything answers NULL while it measures. */
struct sl_pack {
    char *base; /* NULL: measuring */
    size_t used, size;
};

/* Room for a value, zeroed; aligned for pointers and 64-bit numbers. */
void *sl_pack_room(struct sl_pack *pack, size_t size);
/* A copy of a value. */
const void *sl_pack_value(struct sl_pack *pack, const void *value, size_t size);
/* A copy with a NUL behind it; text NULL: NULL. */
const char *sl_pack_text(struct sl_pack *pack, const char *text);
const char *sl_pack_bytes(struct sl_pack *pack, const struct sl_bytes *bytes);
const char *sl_pack_digest(struct sl_pack *pack, const struct sl_digest *digest);

/* Must do the same both times; the first room it takes is what the caller gets. */
typedef void sl_pack_fn(struct sl_pack *pack, const void *from);
/* To be freed with free(); NULL when out of memory. */
void *sl_pack_make(sl_pack_fn *fill, const void *from);
