/* SPDX-License-Identifier: Apache-2.0 */
/* What RFC 8259 asks of a text and yajl does not check. */
#pragma once

#include "sluice/core/bytes.h"
#include "sluice/core/utf8.h"

/* Offset of the first byte that is not well-formed UTF-8 (Unicode 15, table 3-7), that is a control
 * character JSON never holds, or that begins an escape of half a surrogate pair or a byte order
 * mark; text.len when there is none. */
size_t sl_json_text_check(struct sl_span text);
