/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-256-CTR by AES-NI (Intel SDM volume 2, AESENC, AESKEYGENASSIST) between the rounds of two
 * chains of SHA-256.
 *
 * Two chains wait for the throughput of sha256rnds2 (sha256_shani.h), which leaves most of the
 * other ports idle: 56 aesenc for each block of SHA-256 fit there and cost nothing. By itself, a
 * pass of AES over the same bytes takes a sixth of what the chains take.
 */
#include "aes256_ctr.h"

#if defined(__x86_64__)

#include "sha256_shani.h"

#include <endian.h>
#include <string.h>
#include <sys/platform/x86.h>

#define TARGET_AES __attribute__((target("aes,sha,sse4.1,ssse3")))

enum { LANES = SL_SHA256_BLOCK / SL_AES_BLOCK };

/* Counter blocks on their way to be key stream. */
struct lanes {
    __m128i b[LANES];
};

struct counter {
    uint64_t high, low;
};

bool sl_aes256_ctr_is_supported(void)
{
    return sl_sha256_is_supported() && x86_cpu_active(x86_cpu_AES);
}

/* ---- keys: FIPS 197, 5.2 ---- */

/* Each word of a round key is added to all that follow. */
TARGET_AES static inline __m128i add_up(__m128i k)
{
    k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    return _mm_xor_si128(k, _mm_slli_si128(k, 8));
}

/* What the round key before gives to the i-th. */
TARGET_AES static inline __m128i substituted(__m128i before, int i)
{
    __m128i words = _mm_aeskeygenassist_si128(before, /* Rcon, which is added below: */ 0);
    if (i % 2)
        return _mm_shuffle_epi32(words, 0xaa);           /* SubWord of the last word */
    return _mm_xor_si128(_mm_shuffle_epi32(words, 0xff), /* SubWord(RotWord()) of it */
                         _mm_set1_epi32(1 << (i / 2 - 1)));
}

TARGET_AES void sl_aes256_ctr_init(struct sl_aes256_ctr *c, const uint8_t key[SL_AES256_KEY_SIZE],
                                   const uint8_t nonce[SL_AES_BLOCK])
{
    __m128i *k = (__m128i *)c->round_keys;
    memcpy(c->round_keys, key, SL_AES256_KEY_SIZE);
    for (int i = 2; i < SL_AES256_ROUND_KEYS; i++) {
        __m128i next = substituted(_mm_loadu_si128(k + i - 1), i);
        _mm_storeu_si128(k + i, _mm_xor_si128(next, add_up(_mm_loadu_si128(k + i - 2))));
    }
    memcpy(&c->high, nonce, sizeof(c->high));
    memcpy(&c->low, nonce + sizeof(c->high), sizeof(c->low));
    c->high = be64toh(c->high);
    c->low = be64toh(c->low);
}

/* ---- key stream ---- */

TARGET_AES static inline __m128i round_key(const struct sl_aes256_ctr *c, size_t i)
{
    return _mm_loadu_si128((const __m128i *)c->round_keys[i]);
}

TARGET_AES static inline ALWAYS_INLINE struct lanes begin(struct counter *n, __m128i key)
{
    struct lanes s;
    for (size_t i = 0; i < LANES; i++) {
        __m128i block = _mm_set_epi64x((int64_t)htobe64(n->low), (int64_t)htobe64(n->high));
        s.b[i] = _mm_xor_si128(block, key);
        n->low++;
        n->high += n->low == 0;
    }
    return s;
}

TARGET_AES static inline ALWAYS_INLINE void aes_round(struct lanes *s, __m128i key)
{
    for (size_t i = 0; i < LANES; i++)
        s->b[i] = _mm_aesenc_si128(s->b[i], key);
}

TARGET_AES static inline ALWAYS_INLINE void aes_last_round(struct lanes *s, __m128i key)
{
    for (size_t i = 0; i < LANES; i++)
        s->b[i] = _mm_aesenclast_si128(s->b[i], key);
}

TARGET_AES static inline struct lanes keystream(const struct sl_aes256_ctr *c, struct counter *n)
{
    struct lanes s = begin(n, round_key(c, 0));
    for (size_t i = 1; i < SL_AES256_ROUND_KEYS - 1; i++)
        aes_round(&s, round_key(c, i));
    aes_last_round(&s, round_key(c, SL_AES256_ROUND_KEYS - 1));
    return s;
}

TARGET_AES void sl_aes256_ctr_keystream(struct sl_aes256_ctr *c, uint8_t ret[SL_SHA256_BLOCK])
{
    struct counter n = {c->high, c->low};
    struct lanes s = keystream(c, &n);
    for (size_t i = 0; i < LANES; i++)
        _mm_storeu_si128((__m128i *)(ret + i * SL_AES_BLOCK), s.b[i]);
    c->high = n.high;
    c->low = n.low;
}

TARGET_AES static inline ALWAYS_INLINE void add_to(uint8_t *data, const struct lanes *s)
{
    for (size_t i = 0; i < LANES; i++) {
        __m128i *p = (__m128i *)(data + i * SL_AES_BLOCK);
        _mm_storeu_si128(p, _mm_xor_si128(_mm_loadu_si128(p), s->b[i]));
    }
}

/* ---- both at once ---- */

/* Four rounds of each chain with the i-th four words, and one of AES. */
TARGET_AES static inline ALWAYS_INLINE void step(struct chain *a, struct chain *b, struct words *x,
                                                 int i, const uint32_t *constants, struct lanes *s,
                                                 __m128i key)
{
    rounds_two(a, x->w[i], b, x->w[i], constants + (ptrdiff_t)4 * i);
    advance(x, i);
    aes_round(s, key);
}

/* Hashes a block and returns the key stream of n, which is that of this block or of another. */
TARGET_AES static inline ALWAYS_INLINE struct lanes
hash_and_keystream(struct chain *a, struct chain *b, const uint8_t *block,
                   const struct sl_aes256_ctr *c, struct counter *n)
{
    const struct chain a_before = *a;
    const struct chain b_before = *b;
    struct words x = load_block(block);
    struct lanes s = begin(n, round_key(c, 0));
    const uint32_t *k = round_constants;
    size_t i = 1; /* round of AES */
    for (; k < round_constants + 48; k += 16, i += 4) {
        step(a, b, &x, 0, k, &s, round_key(c, i));
        step(a, b, &x, 1, k, &s, round_key(c, i + 1));
        step(a, b, &x, 2, k, &s, round_key(c, i + 2));
        step(a, b, &x, 3, k, &s, round_key(c, i + 3));
    }
    rounds_two(a, x.w[0], b, x.w[0], k);
    aes_round(&s, round_key(c, i));
    rounds_two(a, x.w[1], b, x.w[1], k + 4);
    aes_last_round(&s, round_key(c, i + 1));
    rounds_two(a, x.w[2], b, x.w[2], k + 8);
    rounds_two(a, x.w[3], b, x.w[3], k + 12);
    *a = chain_add(*a, a_before);
    *b = chain_add(*b, b_before);
    return s;
}

TARGET_AES void sl_aes256_ctr_decrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8],
                                           uint32_t second[8], uint8_t *data, size_t n_units)
{
    struct chain a = chain_load(first);
    struct chain b = chain_load(second);
    struct counter n = {c->high, c->low};
    for (; n_units; n_units--, data += SL_SHA256_BLOCK) {
        struct lanes s = hash_and_keystream(&a, &b, data, c, &n);
        add_to(data, &s);
    }
    c->high = n.high;
    c->low = n.low;
    chain_store(a, first);
    chain_store(b, second);
}

/* The hash is one unit behind, since what it reads has to be there. */
TARGET_AES void sl_aes256_ctr_encrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8],
                                           uint32_t second[8], uint8_t *data, size_t n_units)
{
    struct chain a = chain_load(first);
    struct chain b = chain_load(second);
    struct counter n = {c->high, c->low};
    struct lanes s = keystream(c, &n);
    add_to(data, &s);
    for (; n_units > 1; n_units--, data += SL_SHA256_BLOCK) {
        s = hash_and_keystream(&a, &b, data, c, &n);
        add_to(data + SL_SHA256_BLOCK, &s);
    }
    c->high = n.high;
    c->low = n.low;
    chain_store(a, first);
    chain_store(b, second);
    sl_sha256_pair_blocks(first, second, data, 1);
}

#else

#include <stdlib.h>

bool sl_aes256_ctr_is_supported(void)
{
    return false;
}

/* Nobody who has asked sl_aes256_ctr_is_supported() comes to any of these. */
void sl_aes256_ctr_init(struct sl_aes256_ctr *c, const uint8_t key[SL_AES256_KEY_SIZE],
                        const uint8_t nonce[SL_AES_BLOCK])
{
    (void)c;
    (void)key;
    (void)nonce;
    abort();
}

void sl_aes256_ctr_keystream(struct sl_aes256_ctr *c, uint8_t ret[SL_SHA256_BLOCK])
{
    (void)c;
    (void)ret;
    abort();
}

void sl_aes256_ctr_decrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8], uint32_t second[8],
                                uint8_t *data, size_t n_units)
{
    (void)c;
    (void)first;
    (void)second;
    (void)data;
    (void)n_units;
    abort();
}

void sl_aes256_ctr_encrypt_pair(struct sl_aes256_ctr *c, uint32_t first[8], uint32_t second[8],
                                uint8_t *data, size_t n_units)
{
    sl_aes256_ctr_decrypt_pair(c, first, second, data, n_units);
}

#endif
