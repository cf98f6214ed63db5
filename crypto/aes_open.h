/* SPDX-License-Identifier: Apache-2.0 */
/* AES over small messages in memory: what wraps keys, not what encrypts layers. */
#pragma once

#include "sluice/core/bytes.h"

#include <openssl/err.h>

/* All: *ret must be empty, may hold key material afterwards and is the caller's to wipe. Every
 * failure to authenticate or unpad is -EBADMSG and SL_E_AUTH with one and the same text. */

/* key: 16, 24 or 32 bytes; iv 12; tag 16. */
SL_MUST_CHECK int sl_aes_gcm_open(struct sl_span key, struct sl_span iv, struct sl_span aad,
                                  struct sl_span text, struct sl_span tag, struct sl_bytes *ret,
                                  struct sl_error *err);
/* With the tag in the last 16 bytes of text and no additional data. */
SL_MUST_CHECK int sl_aes_gcm_open_appended(struct sl_span key, struct sl_span iv,
                                           struct sl_span text, struct sl_bytes *ret,
                                           struct sl_error *err);
/* PKCS#7 padding; iv 16. Not authenticated. */
SL_MUST_CHECK int sl_aes_cbc_open(struct sl_span key, struct sl_span iv, struct sl_span text,
                                  struct sl_bytes *ret, struct sl_error *err);
/* iv 16, a big-endian counter. Not authenticated. */
SL_MUST_CHECK int sl_aes_ctr_open(struct sl_span key, struct sl_span iv, struct sl_span text,
                                  struct sl_bytes *ret, struct sl_error *err);
/* RFC 3394. */
SL_MUST_CHECK int sl_aes_unwrap_key(struct sl_span kek, struct sl_span wrapped,
                                    struct sl_bytes *ret, struct sl_error *err);
/* Sets the error all of the above share: also for callers whose check is of the same kind. A key
 * that does not fit and wrapped bytes that were changed look the same. */
static inline int sl_open_failed(struct sl_error *err)
{
    ERR_clear_error();
    return sl_error_set(err, SL_E_AUTH, EBADMSG, "the wrapped key does not open");
}
