/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds and schedule of SHA-256 by the SHA extensions, for the kernels made of them. x86-64 only,
 * and only behind sl_sha256_is_supported(). */
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

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
