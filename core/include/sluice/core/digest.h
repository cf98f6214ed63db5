/* SPDX-License-Identifier: Apache-2.0 */
/* Content digests as OCI writes them (image-spec descriptor.md): "sha256:" and 64 hex digits, or
 * "sha512:" and 128. Nothing else is accepted, so a digest is safe in a path or a URL. */
#pragma once

#include "sluice/core/bytes.h"

enum sl_digest_alg { SL_SHA256, SL_SHA512 };

enum {
    SL_DIGEST_MAX = 64,
    SL_DIGEST_TEXT_MAX = 7 + 2 * SL_DIGEST_MAX + 1, /* with the NUL */
};

struct sl_digest {
    enum sl_digest_alg alg;
    uint8_t bytes[SL_DIGEST_MAX];
};

/* A NULL text is a format error, not a crash. */
SL_MUST_CHECK int sl_digest_parse(const char *text, struct sl_digest *ret, struct sl_error *err);
void sl_digest_format(const struct sl_digest *d, char out[SL_DIGEST_TEXT_MAX]);
/* "sha256" / "sha512" and only the hex part: for paths. */
const char *sl_digest_alg_name(enum sl_digest_alg alg);
void sl_digest_hex(const struct sl_digest *d, char out[2 * SL_DIGEST_MAX + 1]);
size_t sl_digest_size(enum sl_digest_alg alg);
bool sl_digest_is_equal(const struct sl_digest *a, const struct sl_digest *b);
SL_MUST_CHECK int sl_digest_of(enum sl_digest_alg alg, struct sl_span bytes, struct sl_digest *ret,
                               struct sl_error *err);
/* -EBADMSG and SL_E_INTEGRITY, "digest is X, expected Y", unless the bytes have this digest. */
SL_MUST_CHECK int sl_digest_verify(const struct sl_digest *expected, struct sl_span bytes,
                                   struct sl_error *err);

/* A running hash; OpenSSL's. One thread at a time. */
struct sl_hash;
SL_MUST_CHECK int sl_hash_new(enum sl_digest_alg alg, struct sl_hash **ret, struct sl_error *err);
struct sl_hash *sl_hash_free(struct sl_hash *h);
SL_DEFINE_AUTO(sl_hash, sl_hash_free)
void sl_hash_update(struct sl_hash *h, struct sl_span bytes);
/* Ends the sum; the hash can only be freed afterwards. */
void sl_hash_final(struct sl_hash *h, struct sl_digest *ret);
