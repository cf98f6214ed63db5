/* SPDX-License-Identifier: Apache-2.0 */
/* Which key of a gnupg home directory is meant by what somebody writes. */
#pragma once

#include "sluice/core/error.h"

#include <gpgme.h>

enum sl_pgp_key_use {
    SL_PGP_FOR_ENCRYPTION, /* a public key, by the whole e-mail address or name */
    SL_PGP_FOR_SIGNING,    /* a secret key, by these or by fingerprint or key id (16 digits) */
};

/* *ret is released with gpgme_key_unref(). ENOKEY: no usable key is named so; ENOTUNIQ: several
 * are. Both are SL_E_AUTH and name id. Whether a key belongs to whom it says is not asked. */
SL_MUST_CHECK int sl_pgp_find_key(gpgme_ctx_t ctx, enum sl_pgp_key_use use, const char *id,
                                  gpgme_key_t *ret, struct sl_error *err);
