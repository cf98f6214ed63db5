/* SPDX-License-Identifier: Apache-2.0 */
/* Stops decompression bombs: bounds the output in total and in relation to the input. */
#pragma once

#include "sluice/decompress.h"

struct sl_expansion {
    struct sl_decompress_limits limits; /* all set */
    uint64_t in, out;                   /* bytes so far */
};

/* Fills in the defaults for limits that are 0; limits may be NULL. */
void sl_expansion_init(struct sl_expansion *x, const struct sl_decompress_limits *limits);

/* Accounts for n_in bytes that became n_out bytes. -E2BIG and SL_E_LIMIT when that is too much. */
SL_MUST_CHECK int sl_expansion_add(struct sl_expansion *x, size_t n_in, size_t n_out,
                                   struct sl_error *err);
