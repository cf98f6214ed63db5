/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a key ring, and the one function each wrapping protocol offers. */
#pragma once

#include "pkcs11_token.h"
#include "sluice/core/openssl_auto.h"
#include "sluice/key_unwrap.h"

/* OpenPGP secret keys as they stand in a file, and what unlocks them. gpg sees them when a layer
 * needs them. Wiped when freed. */
struct sl_pgp_keys {
    uint8_t *packets; /* this and the passphrase from sl_secret_alloc() */
    size_t len;
    char *passphrase; /* or NULL */
};
SL_MUST_CHECK int sl_pgp_keys_new(struct sl_span packets, const char *passphrase,
                                  struct sl_pgp_keys **ret, struct sl_error *err);
struct sl_pgp_keys *sl_pgp_keys_free(struct sl_pgp_keys *keys);
SL_DEFINE_AUTO(sl_pgp_keys, sl_pgp_keys_free)

struct sl_key_ring {
    EVP_PKEY **keys; /* private, RSA or EC */
    size_t n_keys;
    X509 **certs;
    size_t n_certs;
    struct sl_pgp_keys **pgp;
    size_t n_pgp;
    struct sl_pkcs11_key **pkcs11;
    size_t n_pkcs11;
    struct sl_pair *providers; /* name and parameters of provider:NAME:PARAMS */
    size_t n_providers;
    sl_kek_lookup_fn *kek_lookup;
    void *kek_arg;
    sl_provider_unwrap_fn *provider;
    void *provider_arg;
    sl_provider_unwrap_fn *hub;
    void *hub_arg;
    bool hub_unwraps_all;
    sl_wrapped_key_filter_fn *filter;
    void *filter_arg;
    char *pgp_home;      /* NULL: none */
    int pgp_deadline_ms; /* 0: SL_PGP_DEADLINE_MS */
    bool allow_a256ctr;
};

/* Take over (*keyp becomes NULL) on success. */
SL_MUST_CHECK int sl_key_ring_add_key(struct sl_key_ring *ring, EVP_PKEY **keyp,
                                      struct sl_error *err);
SL_MUST_CHECK int sl_key_ring_add_cert(struct sl_key_ring *ring, X509 **certp,
                                       struct sl_error *err);
SL_MUST_CHECK int sl_key_ring_add_pgp(struct sl_key_ring *ring, struct sl_pgp_keys **keysp,
                                      struct sl_error *err);
SL_MUST_CHECK int sl_key_ring_add_pkcs11(struct sl_key_ring *ring, struct sl_pkcs11_key **keyp,
                                         struct sl_error *err);

/* NAME or NAME:PARAMS, split at the first colon. */
SL_MUST_CHECK int sl_key_ring_add_provider(struct sl_key_ring *ring, const char *text,
                                           struct sl_error *err);

/* Opens one decoded element with whatever in the ring fits. *ret_plbco, which must be empty, is
 * what was wrapped: secret, to be wiped by the caller, and not yet known to be private options.
 * SL_E_FORMAT: the element is malformed; SL_E_AUTH: there is no key to try; SL_E_INTEGRITY:
 * keys were tried in vain. Which of a MAC, a tag, a padding was wrong is never told. */
typedef int sl_unwrap_fn(const struct sl_key_ring *ring, struct sl_span element,
                         struct sl_bytes *ret_plbco, struct sl_error *err);
sl_unwrap_fn sl_unwrap_jwe, sl_unwrap_pkcs7, sl_unwrap_pgp, sl_unwrap_pkcs11;
/* An element of enc.keys.provider.NAME, which may be in any format that the provider likes. */
SL_MUST_CHECK int sl_unwrap_provider(const struct sl_key_ring *ring, const char *name,
                                     struct sl_span element, struct sl_bytes *ret_plbco,
                                     struct sl_error *err);

/* For the two protocols of private keys. */
int sl_unwrap_no_key(struct sl_error *err, const char *what);
