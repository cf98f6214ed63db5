/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layer cipher AES_256_CTR_HMAC_SHA256 of ocicrypt and the digests of a layer, as stages.
 */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/core/stage.h"

enum { SL_LEK_SIZE = 32, SL_NONCE_SIZE = 16, SL_HMAC_SIZE = 32 };

/* Secret: what unwrapping yields. Wipe with sl_layer_key_done(). */
struct sl_layer_key {
    uint8_t lek[SL_LEK_SIZE];
    uint8_t nonce[SL_NONCE_SIZE];
    const char *protocol; /* static: "jwe", "pkcs7", "provider" */
};
void sl_layer_key_done(struct sl_layer_key *key);

/* A fresh key and nonce from OpenSSL's generator; protocol is NULL. */
SL_MUST_CHECK int sl_layer_key_generate(struct sl_layer_key *ret, struct sl_error *err);

/* Proof of possession of a layer's key that can be stored: HMAC-SHA-256 keyed with the LEK, over
 * a fixed label, the nonce and the blob digest. Reveals nothing about the key. */
enum { SL_KEY_CHECK_SIZE = 32 };
SL_MUST_CHECK int sl_layer_key_check(const struct sl_layer_key *key, const struct sl_digest *blob,
                                     uint8_t ret[SL_KEY_CHECK_SIZE], struct sl_error *err);

/* Checks size and digest of a blob's bytes and passes them on. */
SL_MUST_CHECK int sl_stage_blob_digest_new(const struct sl_digest *expected, uint64_t size,
                                           struct sl_stage **ret, struct sl_error *err);
/* Checks the digest of the plain tar. A mismatch reads
 * "unequal uncompressed digest X config diff_id Y". */
SL_MUST_CHECK int sl_stage_diff_id_new(const struct sl_digest *expected, struct sl_stage **ret,
                                       struct sl_error *err);
/* Blob size and digest, HMAC and CTR in one pass over the ciphertext, in place. Copies the key
 * and wipes its copy on close. */
SL_MUST_CHECK int sl_stage_decrypt_new(const struct sl_layer_key *key,
                                       const uint8_t hmac[SL_HMAC_SIZE],
                                       const struct sl_digest *blob, uint64_t size,
                                       struct sl_stage **ret, struct sl_error *err);

/* What passed a stage that sums up a blob on its way out. Valid once the stage's finish has
 * succeeded; owned by the caller, outlives the stage. */
struct sl_blob_summary {
    struct sl_digest digest; /* sha256 */
    uint64_t size;
    uint8_t hmac[SL_HMAC_SIZE]; /* of an encrypted blob */
};
/* CTR in place, then digest and HMAC of the ciphertext in one pass. Copies the key and wipes its
 * copy on close. Phase SL_PHASE_CIPHER: the blob has passed sl_stage_blob_digest_new() before. */
SL_MUST_CHECK int sl_stage_encrypt_new(const struct sl_layer_key *key,
                                       struct sl_blob_summary *summary, struct sl_stage **ret,
                                       struct sl_error *err);
/* Digest and size of whatever passes, behind decryption. Phase SL_PHASE_OUT. */
SL_MUST_CHECK int sl_stage_summary_new(struct sl_blob_summary *summary, struct sl_stage **ret,
                                       struct sl_error *err);
