/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RSA key on a PKCS#11 token. Its module is loaded by p11-kit when it is needed first, and stays
 * initialized as long as the key lives. Any number of threads may use a key at once.
 */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/openssl_auto.h"

/* Where the key is, and the PIN: secret. */
struct sl_pkcs11_key;

/* text: a key file (pkcs11_key_file.h). Sets the environment variables it names for the rest of
 * the process, since modules read them when they are loaded: call it before there are other
 * threads. Reads the policy; no module is loaded yet. */
SL_MUST_CHECK int sl_pkcs11_key_new(struct sl_span text, struct sl_pkcs11_key **ret,
                                    struct sl_error *err);
struct sl_pkcs11_key *sl_pkcs11_key_free(struct sl_pkcs11_key *key);
SL_DEFINE_AUTO(sl_pkcs11_key, sl_pkcs11_key_free)

/* The public key object. SL_E_AUTH: no such token or object, or the PIN is wrong. Blocks. */
SL_MUST_CHECK int sl_pkcs11_read_public(const struct sl_pkcs11_key *key, EVP_PKEY **ret,
                                        struct sl_error *err);
/* OAEP with this digest ("sha1" or "sha256") for label and mask, by the private key object. Where
 * the token knows only SHA-1 there, it does the bare RSA and OpenSSL the rest. *ret must be empty,
 * and is the caller's to wipe. Blocks. */
SL_MUST_CHECK int sl_pkcs11_oaep_open(const struct sl_pkcs11_key *key, const char *digest,
                                      struct sl_span text, struct sl_bytes *ret,
                                      struct sl_error *err);
