/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a layer's annotations to its key: ocicrypt's annotations, and the key-wrapping protocols
 * JWE, PKCS7, PGP, PKCS11, CoCo annotation packets and external key providers. key_wrap.h is the
 * way back.
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

/* One wrapped key as anybody may see it: nothing secret. Strings are borrowed from the annotations
 * or static; NULL where the element does not say, or is not of this protocol. */
struct sl_wrapped_key_info {
    const char *protocol;  /* "jwe", "pkcs7", "pgp", "pkcs11", "provider" */
    const char *provider;  /* the name in enc.keys.provider.NAME */
    size_t index;          /* among the elements of its annotation */
    char kid[1025];        /* of a CoCo packet as written, or of a JWE recipient; "" */
    char wrap_type[65];    /* "A256GCM" of a packet; "RSA-OAEP" of a JWE's first recipient; "" */
    const char *malformed; /* why nothing more can be said, static; or NULL */
    size_t n_recipients;   /* 0: unknown */
};
/* 1, or 0 behind the last. In the order in which they are tried. */
SL_MUST_CHECK int sl_enc_annotations_info(const struct sl_enc_annotations *a, size_t i,
                                          struct sl_wrapped_key_info *ret, struct sl_error *err);
/* "AES_256_CTR_HMAC_SHA256": the only cipher there is. */
const char *sl_enc_annotations_cipher(const struct sl_enc_annotations *a);

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

/* Asks the key provider of exactly this name to unwrap an element. params: of the ring's
 * provider:NAME:PARAMS, or NULL. *ret is the PLBCO, secret. -ENOENT: no such provider is
 * configured, and nothing was asked. fn may block and is called on any thread. */
typedef int sl_provider_unwrap_fn(void *arg, const char *name, const char *params,
                                  struct sl_span element, struct sl_bytes *ret,
                                  struct sl_error *err);
void sl_key_ring_set_provider(struct sl_key_ring *ring, sl_provider_unwrap_fn *fn, void *arg);
/* Who unwraps CoCo packets that this ring cannot: of providers other than kbs, of later versions;
 * with all of them, every packet that is well-formed and allowed, for a broker that only he speaks
 * to. Asked under the name of the native provider. */
void sl_key_ring_set_hub(struct sl_key_ring *ring, sl_provider_unwrap_fn *fn, void *arg, bool all);
/* The gnupg home directory for PGP; NULL: PGP keys come only from key files given as specs. */
SL_MUST_CHECK int sl_key_ring_set_pgp_home(struct sl_key_ring *ring, const char *dir,
                                           struct sl_error *err);
/* Says whether a wrapped key may be tried at all: 0, or a failure (SL_E_POLICY). Asked before any
 * key or provider is touched. Any thread. */
typedef int sl_wrapped_key_filter_fn(void *arg, const struct sl_wrapped_key_info *info,
                                     struct sl_error *err);
void sl_key_ring_set_filter(struct sl_key_ring *ring, sl_wrapped_key_filter_fn *fn, void *arg);

/* Which wrapped key opened a layer. */
struct sl_unwrapped {
    size_t index; /* for sl_enc_annotations_info() */
};

/* Tries every wrapped key with every key that fits, in a fixed order: the annotations in order of
 * protocol (provider, jwe, pkcs7, pgp, pkcs11), then name, then element. An element of a provider
 * goes to the configured provider of exactly that name. Under the name "attestation-agent", and
 * only there, it is first read as a CoCo packet if the ring has a KEK lookup. On failure the
 * message begins "Failed to decrypt the image layer, please ensure that the decryption key is
 * placed and correct". The caller wipes *ret. how may be NULL. */
SL_MUST_CHECK int sl_key_ring_unwrap(const struct sl_key_ring *ring,
                                     const struct sl_enc_annotations *a, struct sl_layer_key *ret,
                                     struct sl_unwrapped *how, struct sl_error *err);
/* The same, but gives the very bytes that were wrapped, for wrapping them again. Secret: the caller
 * wipes *ret. They have been read as private options and found complete. */
SL_MUST_CHECK int sl_key_ring_unwrap_plbco(const struct sl_key_ring *ring,
                                           const struct sl_enc_annotations *a, struct sl_bytes *ret,
                                           struct sl_unwrapped *how, struct sl_error *err);
/* One CoCo packet, as a key provider gets it. Uses the ring's KEK lookup, or its hub, and nothing
 * else. Secret result. */
SL_MUST_CHECK int sl_packet_unwrap(const struct sl_key_ring *ring, struct sl_span packet,
                                   struct sl_bytes *ret_plbco, struct sl_error *err);
