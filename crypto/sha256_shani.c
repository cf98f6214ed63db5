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

#include <cpuid.h>
#include <immintrin.h>

#define TARGET_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define ALWAYS_INLINE __attribute__((always_inline))

/* FIPS 180-4, 4.2.2. */
static const uint32_t round_constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* A chain in the order the instructions want: words A B E F and C D G H, highest first. */
struct chain {
    __m128i abef;
    __m128i cdgh;
};

TARGET_SHA static inline struct chain chain_load(const uint32_t state[8])
{
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1);
    __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    return (struct chain){
        .abef = _mm_alignr_epi8(cdab, efgh, 8),
        .cdgh = _mm_blend_epi16(efgh, cdab, 0xf0),
    };
}

TARGET_SHA static inline void chain_store(struct chain c, uint32_t state[8])
{
    __m128i feba = _mm_shuffle_epi32(c.abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(c.cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

TARGET_SHA static inline struct chain chain_add(struct chain c, struct chain before)
{
    return (struct chain){
        .abef = _mm_add_epi32(c.abef, before.abef),
        .cdgh = _mm_add_epi32(c.cdgh, before.cdgh),
    };
}

/* Sixteen words of a message's schedule. */
struct words {
    __m128i w[4];
};

TARGET_SHA static inline __m128i load_words(const uint8_t *p)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)p), big_endian);
}

TARGET_SHA static inline struct words load_block(const uint8_t *block)
{
    return (struct words){
        {load_words(block), load_words(block + 16), load_words(block + 32), load_words(block + 48)},
    };
}

/* Message words t to t+3 from the sixteen before them, oldest first. */
TARGET_SHA static inline __m128i schedule(__m128i w16, __m128i w12, __m128i w8, __m128i w4)
{
    __m128i w7 = _mm_alignr_epi8(w4, w8, 4);
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w16, w12), w7), w4);
}

/* Replaces the i-th four words by those that come 16 later. i must be a constant, or the words do
 * not stay in registers. */
TARGET_SHA static inline ALWAYS_INLINE void advance(struct words *m, int i)
{
    m->w[i] = schedule(m->w[i], m->w[(i + 1) % 4], m->w[(i + 2) % 4], m->w[(i + 3) % 4]);
}

/* Four rounds of one chain. */
TARGET_SHA static inline void rounds_one(struct chain *a, __m128i w, const uint32_t *constants)
{
    __m128i wk = _mm_add_epi32(w, _mm_load_si128((const __m128i *)constants));
    a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, wk);
    wk = _mm_shuffle_epi32(wk, 0x0e);
    a->abef = _mm_sha256rnds2_epu32(a->abef, a->cdgh, wk);
}

/* Four rounds of two chains, in turn. */
TARGET_SHA static inline void rounds_two(struct chain *a, __m128i w, struct chain *b, __m128i v,
                                         const uint32_t *constants)
{
    const __m128i k = _mm_load_si128((const __m128i *)constants);
    __m128i wk = _mm_add_epi32(w, k);
    __m128i vk = _mm_add_epi32(v, k);
    a->cdgh = _mm_sha256rnds2_epu32(a->cdgh, a->abef, wk);
    b->cdgh = _mm_sha256rnds2_epu32(b->cdgh, b->abef, vk);
    wk = _mm_shuffle_epi32(wk, 0x0e);
    vk = _mm_shuffle_epi32(vk, 0x0e);
    a->abef = _mm_sha256rnds2_epu32(a->abef, a->cdgh, wk);
    b->abef = _mm_sha256rnds2_epu32(b->abef, b->cdgh, vk);
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

/* CPUID leaf 7, EBX; gcc 12's __builtin_cpu_supports() does not know "sha". */
static bool has_sha_extensions(void)
{
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_SHA);
}

bool sl_sha256_is_supported(void)
{
    return has_sha_extensions() && __builtin_cpu_supports("ssse3") &&
           __builtin_cpu_supports("sse4.1");
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
