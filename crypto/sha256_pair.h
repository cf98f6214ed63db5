/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two SHA-256 chains over one message, computed together. The first is the SHA-256 of the
 * message; the second that of the message behind a prefix of exactly one block. With HMAC's inner
 * pad as the prefix, these are the two sums an encrypted layer needs of its ciphertext: blob
 * digest and inner hash of the MAC. Since the prefix is one block, both chains see the same
 * blocks, and the message schedule is computed once.
 */
#pragma once

#include "sha256_blocks.h"
#include "sluice/core/bytes.h"

/* A value. Holds what is derived from the prefix: wipe with sl_sha256_pair_done(). */
struct sl_sha256_pair {
    uint32_t state[2][8];
    uint64_t length;               /* bytes of the message so far */
    uint8_t tail[SL_SHA256_BLOCK]; /* the last length % SL_SHA256_BLOCK of them */
};

void sl_sha256_pair_init(struct sl_sha256_pair *p, const uint8_t prefix[SL_SHA256_BLOCK]);
void sl_sha256_pair_update(struct sl_sha256_pair *p, struct sl_span message);
/* Ends both sums; afterwards only sl_sha256_pair_done() is allowed. */
void sl_sha256_pair_final(struct sl_sha256_pair *p, uint8_t plain[SL_SHA256_SIZE],
                          uint8_t prefixed[SL_SHA256_SIZE]);
void sl_sha256_pair_done(struct sl_sha256_pair *p);
