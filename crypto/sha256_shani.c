/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with the SHA extensions of x86 (Intel SDM volume 2, SHA256RNDS2, SHA256MSG1,
 * SHA256MSG2).
 *
 * One chain alone waits for the latency of sha256rnds2, of which a block has 32, one behind the
 * other. Two chains fill that wait, until its throughput is the bound: 64 for two blocks. On
 * Sapphire Rapids latency is 4 cycles and throughput one in 3, so a block of one chain takes 128
 * and a block of two 192. All three kernels run at these bounds; the schedules hide behind the
 * rounds, which is why a cheaper schedule (AVX-512, four blocks at once) gains nothing.
 */
#include "sha256_blocks.h"

#if defined(__x86_64__)

#include "sha256_shani.h"

#include <sys/platform/x86.h>

/* Four rounds of one chain. */
TARGET_SHA static inline void rounds_one(struct chain *a, __m128i w, const uint32_t *constants)
{
    __m128i wk = _mm_add_epi32(w, _mm_load_si128((const __m128i *)constants));
    a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, wk);
    wk = _mm_shuffle_epi32(wk, 0x0e);
    a->abef = _mm_sha256rnds2_epu32(a->abef, a->cdgh, wk);
}

/* Four rounds with the i-th four words, which are then replaced. */
TARGET_SHA static inline ALWAYS_INLINE void step_one(struct chain *a, struct words *x, int i,
                                                     const uint32_t *constants)
{
    rounds_one(a, x->w[i], constants + (ptrdiff_t)4 * i);
    advance(x, i);
}

TARGET_SHA static inline ALWAYS_INLINE void compress_one(struct chain *a, const uint8_t *block)
{
    const struct chain before = *a;
    struct words x = load_block(block);
    const uint32_t *k = round_constants;
    for (; k < round_constants + 48; k += 16) {
        step_one(a, &x, 0, k);
        step_one(a, &x, 1, k);
        step_one(a, &x, 2, k);
        step_one(a, &x, 3, k);
    }
    rounds_one(a, x.w[0], k);
    rounds_one(a, x.w[1], k + 4);
    rounds_one(a, x.w[2], k + 8);
    rounds_one(a, x.w[3], k + 12);
    *a = chain_add(*a, before);
}

TARGET_SHA static inline ALWAYS_INLINE void step_two(struct chain *a, struct words *x,
                                                     struct chain *b, struct words *y, int i,
                                                     const uint32_t *constants)
{
    rounds_two(a, x->w[i], b, y->w[i], constants + (ptrdiff_t)4 * i);
    advance(x, i);
    advance(y, i);
}

/* Where both blocks are the same one, the compiler computes one schedule, not two. */
TARGET_SHA static inline ALWAYS_INLINE void compress_two(struct chain *a, const uint8_t *a_block,
                                                         struct chain *b, const uint8_t *b_block)
{
    const struct chain a_before = *a;
    const struct chain b_before = *b;
    struct words x = load_block(a_block);
    struct words y = load_block(b_block);
    const uint32_t *k = round_constants;
    for (; k < round_constants + 48; k += 16) {
        step_two(a, &x, b, &y, 0, k);
        step_two(a, &x, b, &y, 1, k);
        step_two(a, &x, b, &y, 2, k);
        step_two(a, &x, b, &y, 3, k);
    }
    rounds_two(a, x.w[0], b, y.w[0], k);
    rounds_two(a, x.w[1], b, y.w[1], k + 4);
    rounds_two(a, x.w[2], b, y.w[2], k + 8);
    rounds_two(a, x.w[3], b, y.w[3], k + 12);
    *a = chain_add(*a, a_before);
    *b = chain_add(*b, b_before);
}

TARGET_SHA void sl_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t n_blocks)
{
    struct chain a = chain_load(state);
    for (; n_blocks; n_blocks--, data += SL_SHA256_BLOCK)
        compress_one(&a, data);
    chain_store(a, state);
}

TARGET_SHA void sl_sha256_pair_blocks(uint32_t first[8], uint32_t second[8], const uint8_t *data,
                                      size_t n_blocks)
{
    struct chain a = chain_load(first);
    struct chain b = chain_load(second);
    for (; n_blocks; n_blocks--, data += SL_SHA256_BLOCK)
        compress_two(&a, data, &b, data);
    chain_store(a, first);
    chain_store(b, second);
}

TARGET_SHA void sl_sha256_two_blocks(uint32_t first[8], const uint8_t *first_data,
                                     uint32_t second[8], const uint8_t *second_data,
                                     size_t n_blocks)
{
    struct chain a = chain_load(first);
    struct chain b = chain_load(second);
    for (size_t at = 0; at < n_blocks * SL_SHA256_BLOCK; at += SL_SHA256_BLOCK)
        compress_two(&a, first_data + at, &b, second_data + at);
    chain_store(a, first);
    chain_store(b, second);
}

/* What libc found when the program was loaded (gcc 12's __builtin_cpu_supports() does not know
 * "sha"). Not by CPUID: a guest leaves to its hypervisor for that, 5 us and more each time. */
bool sl_sha256_is_supported(void)
{
    return x86_cpu_active(x86_cpu_SHA) && x86_cpu_active(x86_cpu_SSSE3) &&
           x86_cpu_active(x86_cpu_SSE4_1);
}

#else

#include <stdlib.h>

bool sl_sha256_is_supported(void)
{
    return false;
}

/* Nobody who has asked sl_sha256_is_supported() comes here. */
void sl_sha256_blocks(uint32_t state[8], const uint8_t *data, size_t n_blocks)
{
    (void)state;
    (void)data;
    (void)n_blocks;
    abort();
}

void sl_sha256_pair_blocks(uint32_t first[8], uint32_t second[8], const uint8_t *data,
                           size_t n_blocks)
{
    (void)second;
    sl_sha256_blocks(first, data, n_blocks);
}

void sl_sha256_two_blocks(uint32_t first[8], const uint8_t *first_data, uint32_t second[8],
                          const uint8_t *second_data, size_t n_blocks)
{
    (void)second;
    (void)second_data;
    sl_sha256_blocks(first, first_data, n_blocks);
}

#endif
