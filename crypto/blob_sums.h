/* SPDX-License-Identifier: Apache-2.0 */
/* Blob digest and HMAC-SHA-256 of the same bytes: by the fused kernel where it can, otherwise two
 * passes of OpenSSL. Both give the same sums. */
#pragma once

#include "sluice/layer_crypto.h"

enum sl_blob_sums_kind {
    SL_SUMS_BEST,    /* fused if the processor and the algorithm allow it */
    SL_SUMS_FUSED,   /* or -ENOTSUP */
    SL_SUMS_OPENSSL, /* the reference */
};

struct sl_blob_sums;
struct sl_sha256_pair;
/* Keeps what it derives from the key, not the key. */
SL_MUST_CHECK int sl_blob_sums_new(enum sl_blob_sums_kind kind, enum sl_digest_alg alg,
                                   const uint8_t key[SL_LEK_SIZE], struct sl_blob_sums **ret,
                                   struct sl_error *err);
/* Wipes. */
struct sl_blob_sums *sl_blob_sums_free(struct sl_blob_sums *s);
SL_DEFINE_AUTO(sl_blob_sums, sl_blob_sums_free)

SL_MUST_CHECK int sl_blob_sums_update(struct sl_blob_sums *s, struct sl_span bytes,
                                      struct sl_error *err);
/* The two chains, for a kernel that moves them along itself; NULL where there are two passes. */
struct sl_sha256_pair *sl_blob_sums_pair(struct sl_blob_sums *s);
/* Ends both sums; afterwards s can only be freed. */
SL_MUST_CHECK int sl_blob_sums_final(struct sl_blob_sums *s, struct sl_digest *ret_digest,
                                     uint8_t ret_mac[SL_HMAC_SIZE], struct sl_error *err);
