/* SPDX-License-Identifier: Apache-2.0 */
/* The encrypted private keys of cosign: PEM around JSON (go-securesystemslib, package encrypted).
 * Inside security/ only. */
#pragma once

#include "sluice/core/bytes.h"

/* json: what the PEM block holds. *ret, to be wiped, is PKCS#8 (DER). SL_E_AUTH, -EKEYREJECTED: the
 * passphrase is wrong, or the file was changed. */
SL_MUST_CHECK int sl_cosign_key_open(struct sl_span json, const char *passphrase,
                                     struct sl_bytes *ret, struct sl_error *err);
