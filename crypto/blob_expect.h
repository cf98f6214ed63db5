/* SPDX-License-Identifier: Apache-2.0 */
/* What the descriptor promises about a blob. The size is held against every byte that comes in,
 * so that a longer blob stops at once; the digest at the end. */
#pragma once

#include "sluice/core/digest.h"

struct sl_blob_expect {
    struct sl_digest digest;
    uint64_t size;
    uint64_t seen;
};

/* n more bytes have come. */
SL_MUST_CHECK int sl_blob_expect_count(struct sl_blob_expect *e, size_t n, struct sl_error *err);
/* The blob is through. Size before digest: a short blob always has the wrong digest too. */
SL_MUST_CHECK int sl_blob_expect_verify(const struct sl_blob_expect *e,
                                        const struct sl_digest *actual, struct sl_error *err);
