/* SPDX-License-Identifier: Apache-2.0 */
#include "sha256_pair.h"

#include "sha256.h"
#include "sluice/core/secret.h"

#include <string.h>

void sl_sha256_pair_init(struct sl_sha256_pair *p, const uint8_t prefix[SL_SHA256_BLOCK])
{
    struct sl_sha256 fresh;
    sl_sha256_init(&fresh);
    memcpy(p->state[0], fresh.state, sizeof(fresh.state));
    memcpy(p->state[1], fresh.state, sizeof(fresh.state));
    sl_sha256_blocks(p->state[1], prefix, 1);
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
    struct sl_sha256 alone = {.length = length};
    memcpy(alone.state, state, sizeof(alone.state));
    memcpy(alone.tail, p->tail, length % SL_SHA256_BLOCK);
    sl_sha256_final(&alone, ret);
    sl_wipe(&alone, sizeof(alone));
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
