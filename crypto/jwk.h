/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Keys (RFC 7517, RFC 7518 section 6): RSA, and EC on P-256, P-384 and P-521. */
#pragma once

#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"
#include "sluice/core/openssl_auto.h"

enum sl_jwk_part { SL_JWK_PUBLIC, SL_JWK_PRIVATE };

/* A public EC key is checked to lie on its curve. Errors name members, never values. */
SL_MUST_CHECK int sl_jwk_parse(const struct sl_json *jwk, enum sl_jwk_part part, EVP_PKEY **ret,
                               struct sl_error *err);
/* The members kty, crv, x and y of an EC key into the object that is open. SL_E_UNSUPPORTED for
 * other curves. */
SL_MUST_CHECK int sl_jwk_put_ec(struct sl_json_writer *w, const EVP_PKEY *key,
                                struct sl_error *err);
