/* SPDX-License-Identifier: Apache-2.0 */
/* Files with decryption keys: which format, which password. */
#pragma once

#include "sluice/core/json.h"
#include "sluice/key_unwrap.h"

/* FILE, FILE:pass=P, FILE:file=F, FILE:fd=N or FILE:P, split at the first colon: the path of a
 * key cannot contain one. */
SL_MUST_CHECK int sl_key_file_add(struct sl_key_ring *ring, const char *spec, struct sl_error *err);
/* The content of such a file: a private key (PKCS#8, PKCS#1, SEC1; DER or PEM, both also
 * encrypted; or JWK), certificates, or both; or OpenPGP secret
 * keys; or a PKCS11 key file, which sets environment variables (pkcs11_token.h). password may be
 * NULL. */
SL_MUST_CHECK int sl_key_bytes_add(struct sl_key_ring *ring, struct sl_span bytes,
                                   const char *password, struct sl_error *err);
/* Whether such a file is a JWK. */
bool sl_key_bytes_is_json(struct sl_span bytes);
/* Its JSON; messages quote nothing of it. */
SL_MUST_CHECK int sl_key_bytes_parse_jwk(struct sl_span bytes, struct sl_json_doc **ret,
                                         struct sl_error *err);
/* For reading PEM of what is never encrypted: OpenSSL would ask the terminal if it were. */
int sl_refuse_passphrase(char *buf, int size, int rwflag, void *arg);
