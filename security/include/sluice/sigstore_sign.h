/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private keys for signing as cosign does. A key file is one PEM block: PKCS#8, plain or encrypted
 * (RFC 5958), or what "cosign generate-key-pair" writes ("ENCRYPTED SIGSTORE PRIVATE KEY", before
 * "ENCRYPTED COSIGN PRIVATE KEY": JSON of scrypt and NaCl's secretbox around PKCS#8). P-256, P-384,
 * P-521, RSA of 2048 to 8192 bits, Ed25519. A key does not change: any thread may sign with it.
 */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_SIGNING_KEY_MAX = 64 * 1024 /* bytes of a key file */ };

struct sl_signing_key;
/* passphrase: NULL when there is none; "" is one. SL_E_AUTH: -ENOKEY when the key wants a
 * passphrase, -EKEYREJECTED when it is the wrong one. SL_E_UNSUPPORTED: a kind we do not sign with.
 * Errors quote nothing of a key. */
SL_MUST_CHECK int sl_signing_key_parse(struct sl_span pem, const char *passphrase,
                                       struct sl_signing_key **ret, struct sl_error *err);
struct sl_signing_key *sl_signing_key_free(struct sl_signing_key *key);
SL_DEFINE_AUTO(sl_signing_key, sl_signing_key_free)

/* *ret must be empty. By the algorithm that containers/image and "cosign verify --key" take for the
 * kind: ECDSA (DER) with SHA-256, whatever the curve; RSA PKCS#1 v1.5 with SHA-256; Ed25519 over
 * data itself. cosign 3.1 itself signs with SHA-384 by a P-384 key, and verifies that only with
 * --signature-digest-algorithm. */
SL_MUST_CHECK int sl_signing_key_sign(const struct sl_signing_key *key, struct sl_span data,
                                      struct sl_bytes *ret, struct sl_error *err);

/* The public half: SubjectPublicKeyInfo as DER (*ret must be empty), and as PEM, NUL-terminated and
 * to be freed. */
SL_MUST_CHECK int sl_signing_key_public_der(const struct sl_signing_key *key, struct sl_bytes *ret,
                                            struct sl_error *err);
SL_MUST_CHECK int sl_signing_key_public_pem(const struct sl_signing_key *key, char **ret,
                                            struct sl_error *err);
/* SHA-256 of that DER: names the key in bundles and logs. */
void sl_signing_key_id(const struct sl_signing_key *key, uint8_t ret[32]);
