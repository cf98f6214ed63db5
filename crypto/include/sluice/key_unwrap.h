/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a layer's annotations to its key: ocicrypt's annotations, and the key-wrapping protocols
 * JWE, PKCS7 and CoCo annotation packets.
 */
#pragma once

#include "sluice/layer_crypto.h"

/* The encryption annotations of one layer, parsed and within limits; nothing secret. */
struct sl_enc_annotations;
/* Refuses a missing or malformed pubopts, an unknown cipher, a public nonce, and annotations
 * without any wrapped key. */
SL_MUST_CHECK int sl_enc_annotations_parse(const struct sl_pair *annotations, size_t n,
                                           struct sl_enc_annotations **ret, struct sl_error *err);
struct sl_enc_annotations *sl_enc_annotations_free(struct sl_enc_annotations *a);
SL_DEFINE_AUTO(sl_enc_annotations, sl_enc_annotations_free)
/* True if any annotation belongs to layer encryption: wrong on a layer whose media type is not. */
bool sl_enc_annotations_present(const struct sl_pair *annotations, size_t n);
/* SL_HMAC_SIZE bytes, borrowed. */
const uint8_t *sl_enc_annotations_hmac(const struct sl_enc_annotations *a);

/* The keys of the caller: private keys, certificates, and whom to ask for KEKs. Secret. Filled
 * before the pull, read-only (and safe for any thread) during it. */
struct sl_key_ring;
SL_MUST_CHECK int sl_key_ring_new(struct sl_key_ring **ret, struct sl_error *err);
struct sl_key_ring *sl_key_ring_free(struct sl_key_ring *ring);
SL_DEFINE_AUTO(sl_key_ring, sl_key_ring_free)
/* One --decryption-key, in skopeo's syntax: FILE, FILE:pass=P, FILE:file=F, FILE:fd=N, FILE:P,
 * provider:NAME[:PARAMS]. */
SL_MUST_CHECK int sl_key_ring_add_spec(struct sl_key_ring *ring, const char *spec,
                                       struct sl_error *err);
/* PARAMS of the first provider:NAME[:PARAMS] of this name ("Enabled" if it has none), or NULL.
 * Borrowed. */
const char *sl_key_ring_provider(const struct sl_key_ring *ring, const char *name);
/* Whom to ask for the KEK of a CoCo packet. kid is as written in the packet, already checked to
 * be well-formed. ret has room for 32 bytes. fn may block and is called on any thread. */
typedef int sl_kek_lookup_fn(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err);
void sl_key_ring_set_kek_lookup(struct sl_key_ring *ring, sl_kek_lookup_fn *fn, void *arg);
/* Whether A256CTR packets, which anybody on the way can change bit by bit, are accepted. */
void sl_key_ring_allow_a256ctr(struct sl_key_ring *ring, bool allow);

/* Tries every wrapped key with every key that fits, in a fixed order: the annotations in order of
 * protocol (provider, jwe, pkcs7), then name, then element. On failure the message begins
 * "Failed to decrypt the image layer, please ensure that the decryption key is placed and
 * correct". The caller wipes *ret. */
SL_MUST_CHECK int sl_key_ring_unwrap(const struct sl_key_ring *ring,
                                     const struct sl_enc_annotations *a, struct sl_layer_key *ret,
                                     struct sl_error *err);
