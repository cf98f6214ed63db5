/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of a message, or of two messages at once: they take turns in the processor, where one
 * alone would wait for itself. For digests of layers; sl_hash is what everything else uses, and
 * what layers use where sl_sha256_is_supported() says no.
 */
#pragma once

#include "sha256_blocks.h"
#include "sluice/core/bytes.h"

/* A value. */
struct sl_sha256 {
    uint32_t state[8];
    uint64_t length;               /* bytes of the message so far */
    uint8_t tail[SL_SHA256_BLOCK]; /* the last length % SL_SHA256_BLOCK of them */
};

void sl_sha256_init(struct sl_sha256 *s);
void sl_sha256_update(struct sl_sha256 *s, struct sl_span message);
/* The same as an update of each; fastest where both spans are equally long. */
void sl_sha256_update_two(struct sl_sha256 *a, struct sl_span a_message, struct sl_sha256 *b,
                          struct sl_span b_message);
/* Afterwards only sl_sha256_init() is allowed. */
void sl_sha256_final(struct sl_sha256 *s, uint8_t ret[SL_SHA256_SIZE]);
