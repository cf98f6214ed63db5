/* SPDX-License-Identifier: Apache-2.0 */
/* The outermost packets of an encrypted OpenPGP message (RFC 4880 sections 4.2 and 11.3). */
#pragma once

#include "sluice/core/bytes.h"

struct sl_pgp_message {
    size_t n_recipients;
    bool is_aead; /* GnuPG's packet 20, which other tools do not read */
};

/* Accepts what a layer key may be wrapped in, and nothing else: session keys of version 3, then
 * one packet of data with integrity protection up to the last byte. SL_E_INTEGRITY: data without
 * protection, which anybody could change. */
SL_MUST_CHECK int sl_pgp_message_parse(struct sl_span message, struct sl_pgp_message *ret,
                                       struct sl_error *err);
