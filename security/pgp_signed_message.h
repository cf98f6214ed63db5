/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packets of a signed OpenPGP message (RFC 4880 sections 4.2 and 11.3), walked before gpg sees
 * them: exactly one signature over exactly one literal, at most one compression around them,
 * nothing before, between or behind. Inside security/ only.
 */
#pragma once

#include "sluice/core/bytes.h"

struct sl_pgp_signed_message {
    unsigned version;        /* of the signature packet: 3 or 4 */
    unsigned type;           /* 0x00 binary, 0x01 text */
    unsigned key_algorithm;  /* RFC 4880 section 9.1 */
    unsigned hash_algorithm; /* section 9.4 */
};
SL_MUST_CHECK int sl_pgp_signed_message_parse(struct sl_span message,
                                              struct sl_pgp_signed_message *ret,
                                              struct sl_error *err);
