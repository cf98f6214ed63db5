/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks, padding and length (FIPS 180-4, 5.1.1) around the kernels. */
#include "sha256.h"

#include <endian.h>
#include <string.h>

/* FIPS 180-4, 5.3.3. */
static const uint32_t initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

void sl_sha256_init(struct sl_sha256 *s)
{
    memcpy(s->state, initial_state, sizeof(s->state));
    s->length = 0;
}

/* Moves what completes the block in the tail there; the rest of the message begins at a block. */
static struct sl_span fill_tail(struct sl_sha256 *s, struct sl_span message)
{
    size_t in_tail = s->length % SL_SHA256_BLOCK;
    if (!in_tail || !message.len)
        return message;
    size_t n = SL_SHA256_BLOCK - in_tail;
    if (n > message.len)
        n = message.len;
    memcpy(s->tail + in_tail, message.data, n);
    s->length += n;
    if (in_tail + n == SL_SHA256_BLOCK)
        sl_sha256_blocks(s->state, s->tail, 1);
    return (struct sl_span){message.data + n, message.len - n};
}

void sl_sha256_update(struct sl_sha256 *s, struct sl_span message)
{
    message = fill_tail(s, message);
    if (!message.len)
        return;
    size_t n_blocks = message.len / SL_SHA256_BLOCK;
    size_t rest = message.len % SL_SHA256_BLOCK;
    sl_sha256_blocks(s->state, message.data, n_blocks);
    memcpy(s->tail, message.data + message.len - rest, rest);
    s->length += message.len;
}

void sl_sha256_update_two(struct sl_sha256 *a, struct sl_span a_message, struct sl_sha256 *b,
                          struct sl_span b_message)
{
    a_message = fill_tail(a, a_message);
    b_message = fill_tail(b, b_message);
    size_t shorter = a_message.len < b_message.len ? a_message.len : b_message.len;
    size_t n_blocks = shorter / SL_SHA256_BLOCK;
    size_t n = n_blocks * SL_SHA256_BLOCK;
    if (n_blocks) {
        sl_sha256_two_blocks(a->state, a_message.data, b->state, b_message.data, n_blocks);
        a->length += n;
        b->length += n;
        a_message = (struct sl_span){a_message.data + n, a_message.len - n};
        b_message = (struct sl_span){b_message.data + n, b_message.len - n};
    }
    sl_sha256_update(a, a_message);
    sl_sha256_update(b, b_message);
}

void sl_sha256_final(struct sl_sha256 *s, uint8_t ret[SL_SHA256_SIZE])
{
    size_t in_tail = s->length % SL_SHA256_BLOCK;
    uint8_t last[2 * SL_SHA256_BLOCK] = {0};
    size_t n_blocks = in_tail + 1 + sizeof(uint64_t) <= SL_SHA256_BLOCK ? 1 : 2;
    memcpy(last, s->tail, in_tail);
    last[in_tail] = 0x80;
    uint64_t bits = htobe64(s->length * 8);
    memcpy(last + n_blocks * SL_SHA256_BLOCK - sizeof(bits), &bits, sizeof(bits));
    sl_sha256_blocks(s->state, last, n_blocks);
    for (size_t i = 0; i < 8; i++) {
        uint32_t word = htobe32(s->state[i]);
        memcpy(ret + i * sizeof(word), &word, sizeof(word));
    }
}
