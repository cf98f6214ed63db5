/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compression function of SHA-256 (FIPS 180-4, 6.2.2) over whole blocks, for one chain or for
 * two at once. Two take a quarter (measured) less time together than one after the other.
 *
 * States are the eight words of FIPS 180-4 in its order. Data needs no alignment. None of these
 * functions may be called unless sl_sha256_is_supported(). Nothing is left on the stack on purpose,
 * but what the compiler spills is not wiped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SL_SHA256_BLOCK = 64, SL_SHA256_SIZE = 32 };

/* Whether this processor has the instructions. */
bool sl_sha256_is_supported(void);

void sl_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t n_blocks);
/* Both states over the same blocks. */
void sl_sha256_pair_blocks(uint32_t first[8], uint32_t second[8], const uint8_t *data,
                           size_t n_blocks);
/* Each state over blocks of its own, equally many. */
void sl_sha256_two_blocks(uint32_t first[8], const uint8_t *first_data, uint32_t second[8],
                          const uint8_t *second_data, size_t n_blocks);
