/* SPDX-License-Identifier: Apache-2.0 */
/* The frames of OpenPGP packets (RFC 4880 section 4.2), in both formats and with every kind of
 * length. What the bodies mean is for others to know. */
#pragma once

#include "sluice/core/bytes.h"

enum sl_pgp_tag {
    SL_PGP_SESSION_KEY = 1,
    SL_PGP_SIGNATURE = 2,
    SL_PGP_PASSWORD_KEY = 3,
    SL_PGP_ONE_PASS = 4,
    SL_PGP_COMPRESSED = 8,
    SL_PGP_UNPROTECTED = 9,
    SL_PGP_LITERAL = 11,
    SL_PGP_PROTECTED = 18,
    SL_PGP_AEAD = 20, /* GnuPG's */
};

struct sl_pgp_packet {
    unsigned tag;
    bool has_length;       /* false: the body comes in pieces, or goes up to the end */
    struct sl_span first;  /* the body, or its first piece: never empty */
    struct sl_span pieces; /* the others, with their lengths */
};

/* Takes one packet off the front; borrows. SL_E_FORMAT when it is none, is empty or cut short. */
SL_MUST_CHECK int sl_pgp_packet_take(struct sl_span *rest, struct sl_pgp_packet *ret,
                                     struct sl_error *err);
/* A copy of the whole body, at most limit bytes. *ret must be empty. */
SL_MUST_CHECK int sl_pgp_packet_body(const struct sl_pgp_packet *packet, size_t limit,
                                     struct sl_bytes *ret, struct sl_error *err);
/* SL_E_FORMAT, "PGP message: " and what. */
int sl_pgp_malformed(struct sl_error *err, const char *what);
