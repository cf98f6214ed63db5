/* SPDX-License-Identifier: Apache-2.0 */
/* What RFC 8259 asks of a text and yajl does not check. */
#pragma once

#include "sluice/core/bytes.h"

/* Offset of the first byte that is not well-formed UTF-8 (Unicode 15, table 3-7), that is a control
 * character JSON never holds, or that begins an escape of half a surrogate pair or a byte order
 * mark; text.len when there is none. */
size_t sl_json_text_check(struct sl_span text);

/* Bytes of the character at p, whose first byte is above 7f, of n that are left; 0 when it is not
 * well-formed. */
size_t sl_utf8_multibyte_len(const uint8_t *p, size_t n);
