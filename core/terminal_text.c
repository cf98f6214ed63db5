/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal_text.h"

#include "json_text.h"

#include <string.h>

enum { C1_LEAD = 0xc2, C1_LAST = 0x9f }; /* U+0080 to U+009F are c2 80 to c2 9f */

/* Separators of lines and paragraphs; what turns the direction of the text that follows, so that a
 * line reads other than it is written (Unicode's UAX #9). p: n bytes of one character. */
static bool is_layout(const uint8_t *p, size_t n)
{
    if (n == 2)
        return p[0] == 0xd8 && p[1] == 0x9c; /* U+061C */
    if (n != 3 || p[0] != 0xe2)
        return false;
    return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f)) || /* U+200E, U+200F */
           (p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) ||   /* U+2028 to U+202E */
           (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);     /* U+2066 to U+2069 */
}

void sl_terminal_text_clean(char *text)
{
    uint8_t *p = (uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t n = *p < 0x80 ? 1 : sl_utf8_multibyte_len(p, left);
        bool is_control = *p < 0x20 || *p == 0x7f || (*p == C1_LEAD && n == 2 && p[1] <= C1_LAST);
        if (n == 0)
            n = 1;
        if (is_control || is_layout(p, n) || (n == 1 && *p >= 0x80))
            memset(p, '?', n);
        p += n;
        left -= n;
    }
}
