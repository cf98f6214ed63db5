/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks, padding and length (FIPS 180-4, 5.1.1) around the kernel of two chains. */
#include "sha256_pair.h"

#include <endian.h>
#include <string.h>

/* FIPS 180-4, 5.3.3. */
static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void sl_sha256_pair_init(struct sl_sha256_pair *p, const uint8_t prefix[SL_SHA256_BLOCK])
{
    memcpy(p->state[0], initial_state, sizeof(initial_state));
    memcpy(p->state[1], initial_state, sizeof(initial_state));
    sl_sha256_pair_blocks(p->state[0], p->state[1], prefix, 1);
    memcpy(p->state[0], initial_state, sizeof(initial_state));
    p->length = 0;
}

void sl_sha256_pair_update(struct sl_sha256_pair *p, struct sl_span message)
{
    size_t in_tail = p->length % SL_SHA256_BLOCK;
    p->length += message.len;
    if (in_tail) {
        size_t n = SL_SHA256_BLOCK - in_tail;
        if (n > message.len)
            n = message.len;
        memcpy(p->tail + in_tail, message.data, n);
        if (in_tail + n < SL_SHA256_BLOCK)
            return;
        sl_sha256_pair_blocks(p->state[0], p->state[1], p->tail, 1);
        message.data += n;
        message.len -= n;
    }
    size_t n_blocks = message.len / SL_SHA256_BLOCK;
    if (n_blocks)
        sl_sha256_pair_blocks(p->state[0], p->state[1], message.data, n_blocks);
    size_t rest = message.len % SL_SHA256_BLOCK;
    if (rest)
        memcpy(p->tail, message.data + message.len - rest, rest);
}

/* The chains end in different blocks, because the second is one block longer. */
static void end_chain(const struct sl_sha256_pair *p, const uint32_t state[8], uint64_t length,
                      uint8_t ret[SL_SHA256_SIZE])
{
    size_t in_tail = p->length % SL_SHA256_BLOCK;
    uint8_t last[2 * SL_SHA256_BLOCK] = {0};
    size_t n_blocks = in_tail + 1 + sizeof(uint64_t) <= SL_SHA256_BLOCK ? 1 : 2;
    memcpy(last, p->tail, in_tail);
    last[in_tail] = 0x80;
    uint64_t bits = htobe64(length * 8);
    memcpy(last + n_blocks * SL_SHA256_BLOCK - sizeof(bits), &bits, sizeof(bits));

    uint32_t both[2][8];
    memcpy(both[0], state, sizeof(both[0]));
    memcpy(both[1], state, sizeof(both[1]));
    sl_sha256_pair_blocks(both[0], both[1], last, n_blocks);
    for (size_t i = 0; i < 8; i++) {
        uint32_t word = htobe32(both[0][i]);
        memcpy(ret + i * sizeof(word), &word, sizeof(word));
    }
    sl_wipe(both, sizeof(both));
}

void sl_sha256_pair_final(struct sl_sha256_pair *p, uint8_t plain[SL_SHA256_SIZE],
                          uint8_t prefixed[SL_SHA256_SIZE])
{
    end_chain(p, p->state[0], p->length, plain);
    end_chain(p, p->state[1], p->length + SL_SHA256_BLOCK, prefixed);
}

void sl_sha256_pair_done(struct sl_sha256_pair *p)
{
    sl_wipe(p, sizeof(*p));
}
