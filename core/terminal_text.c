/* SPDX-License-Identifier: Apache-2.0 */
#include "terminal_text.h"

#include "json_text.h"

#include <string.h>

enum { C1_LEAD = 0xc2, C1_LAST = 0x9f }; /* U+0080 to U+009F are c2 80 to c2 9f */

void sl_terminal_text_clean(char *text)
{
    uint8_t *p = (uint8_t *)text;
    size_t left = strlen(text);
    while (left > 0) {
        size_t n = *p < 0x80 ? 1 : sl_utf8_multibyte_len(p, left);
        bool is_control = *p < 0x20 || *p == 0x7f || (*p == C1_LEAD && n == 2 && p[1] <= C1_LAST);
        if (n == 0)
            n = 1;
        if (is_control || (n == 1 && *p >= 0x80))
            memset(p, '?', n);
        p += n;
        left -= n;
    }
}
