/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256 in CTR mode (FIPS 197; SP 800-38A, 6.5) computed in the gaps of two chains of SHA-256
 * over the ciphertext. The counter is all 128 bits of the counter block, big-endian, and wraps.
 *
 * The unit is SL_SHA256_BLOCK bytes, four blocks of AES. Data needs no alignment. None of these
 * functions may be called unless sl_aes256_ctr_is_supported(). One thread at a time for each
 * struct. What the compiler spills is not wiped.
 */
#pragma once

#include "sha256_blocks.h"

enum {
    SL_AES256_KEY_SIZE = 32,
    SL_AES_BLOCK = 16,
    SL_AES256_ROUND_KEYS = 15, /* FIPS 197, 5: 14 rounds and the first addition */
};

/* A value, and key material: keep it where keys are kept and wipe it. */
struct sl_aes256_ctr {
    uint8_t round_keys[SL_AES256_ROUND_KEYS][SL_AES_BLOCK];
    uint64_t high, low; /* the next counter block */
};

/* Whether this processor has the instructions. */
bool sl_aes256_ctr_is_supported(void);

/* nonce is the whole first counter block. */
void sl_aes256_ctr_init(struct sl_aes256_ctr *c, const uint8_t key[SL_AES256_KEY_SIZE],
                        const uint8_t nonce[SL_AES_BLOCK]);
/* The next four blocks of key stream, alone: for what is no whole unit. */
void sl_aes256_ctr_keystream(struct sl_aes256_ctr *c, uint8_t ret[SL_SHA256_BLOCK]);
/* Both states over data, which is decrypted in place once it is hashed. */
void sl_aes256_ctr_decrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8], uint32_t second[8],
                                uint8_t *data, size_t n_units);
/* Encrypts data in place; both states over what comes out. n_units is at least 1. */
void sl_aes256_ctr_encrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8], uint32_t second[8],
                                uint8_t *data, size_t n_units);
