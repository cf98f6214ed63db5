/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES_256_CTR_HMAC_SHA256, the layer cipher of ocicrypt: AES-256 in CTR mode, the nonce being the
 * whole first counter block; with it both sums of the ciphertext: the blob's digest, and
 * HMAC-SHA-256 with the same key. In one pass where the processor can, otherwise in two or three:
 * all kinds give the same bytes and sums.
 */
#pragma once

#include "blob_sums.h"

enum sl_layer_cipher_kind {
    SL_CIPHER_BEST,
    SL_CIPHER_ONE_PASS,   /* or -ENOTSUP */
    SL_CIPHER_FUSED_SUMS, /* both sums in one pass, the cipher is OpenSSL's; or -ENOTSUP */
    SL_CIPHER_OPENSSL,    /* the reference */
};

struct sl_layer_cipher;
/* alg is that of the blob's digest. Keeps what it derives from the key, in memory for keys. One
 * thread at a time; goes one way, by _encrypt or by _decrypt. */
SL_MUST_CHECK int sl_layer_cipher_new(enum sl_layer_cipher_kind kind, enum sl_digest_alg alg,
                                      const struct sl_layer_key *key, struct sl_layer_cipher **ret,
                                      struct sl_error *err);
/* Wipes. */
struct sl_layer_cipher *sl_layer_cipher_free(struct sl_layer_cipher *c);
SL_DEFINE_AUTO(sl_layer_cipher, sl_layer_cipher_free)

/* The next len bytes of the layer, in place; cuts may be anywhere. */
SL_MUST_CHECK int sl_layer_cipher_decrypt(struct sl_layer_cipher *c, uint8_t *data, size_t len,
                                          struct sl_error *err);
SL_MUST_CHECK int sl_layer_cipher_encrypt(struct sl_layer_cipher *c, uint8_t *data, size_t len,
                                          struct sl_error *err);
/* Ends both sums; afterwards c can only be freed. */
SL_MUST_CHECK int sl_layer_cipher_final(struct sl_layer_cipher *c, struct sl_digest *ret_digest,
                                        uint8_t ret_mac[SL_HMAC_SIZE], struct sl_error *err);
