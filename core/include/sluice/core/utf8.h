/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of UTF-8 (Unicode 15, table 3-7). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at p, whose first byte is above 7f, of n that are left; 0 when it is not
 * well-formed. */
size_t sl_utf8_multibyte_len(const uint8_t *p, size_t n);
