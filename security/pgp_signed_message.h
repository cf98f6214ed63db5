/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets of a signed OpenPGP message (RFC 4880 sections 4.2 and 11.3), walked before gpg sees
 * them: exactly one signature over exactly one literal, at most one compression around them,
 * nothing before, between or behind. Inside security/ only.
 */
#pragma once

#include "sluice/core/bytes.h"

enum {
    SL_PGP_TYPE_BINARY = 0x00, /* RFC 4880 section 5.2.1 */
    SL_PGP_TYPE_TEXT = 0x01,
};

struct sl_pgp_signed_message {
    unsigned version;        /* of the signature packet: 3 or 4 */
    unsigned type;           /* one of the two above */
    unsigned key_algorithm;  /* RFC 4880 section 9.1 */
    unsigned hash_algorithm; /* section 9.4 */
    /* The message without its compression. A verifier is to read these, so that it sees exactly
     * the bytes that were walked. */
    struct sl_bytes packets;
};
void sl_pgp_signed_message_done(struct sl_pgp_signed_message *message);
SL_DEFINE_AUTO_DONE(sl_pgp_signed_message, sl_pgp_signed_message_done)
/* *ret must be empty. SL_E_FORMAT: not such a message; SL_E_LIMIT: too large, packed or not;
 * SL_E_UNSUPPORTED: a version or a compression that is not read. */
SL_MUST_CHECK int sl_pgp_signed_message_parse(struct sl_span message,
                                              struct sl_pgp_signed_message *ret,
                                              struct sl_error *err);
