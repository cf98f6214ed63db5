/* SPDX-License-Identifier: Apache-2.0 */
#include "json_text.h"

#include <string.h>

enum {
    ESCAPE_LEN = 6, /* \uXXXX */
    SURROGATE_HIGH = 0xd800,
    SURROGATE_LOW = 0xdc00,
    SURROGATE_END = 0xe000,
};

/* Table 3-7: lead bytes, and what the second byte may be; all others are 80..bf. */
static const struct lead {
    uint8_t first, last, second_min, second_max, len;
} leads[] = {
    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t sl_utf8_multibyte_len(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        const struct lead *lead = &leads[i];
        if (*p < lead->first || *p > lead->last)
            continue;
        if (n < lead->len || p[1] < lead->second_min || p[1] > lead->second_max)
            return 0;
        for (size_t k = 2; k < lead->len; k++)
            if (p[k] < 0x80 || p[k] > 0xbf)
                return 0;
        return lead->len;
    }
    return 0;
}

/* Value of \uXXXX at p, or -1. */
static int unicode_escape(const uint8_t *p, size_t n)
{
    int value = 0;
    if (n < ESCAPE_LEN || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (size_t i = 2; i < ESCAPE_LEN; i++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *digit = p[i] ? strchr(digits, p[i]) : NULL;
        if (!digit)
            return -1;
        int nibble = (int)(digit - digits);
        value = value << 4 | (nibble < 16 ? nibble : nibble - 6);
    }
    return value;
}

/* Length of the escape at p; 0 for half a surrogate pair. Other nonsense is yajl's to refuse. */
static size_t escape_len(const uint8_t *p, size_t n)
{
    int value = unicode_escape(p, n);
    if (value < SURROGATE_HIGH || value >= SURROGATE_END)
        return n < 2 ? n : 2;
    if (value >= SURROGATE_LOW)
        return 0;
    int low = unicode_escape(p + ESCAPE_LEN, n - ESCAPE_LEN);
    return low >= SURROGATE_LOW && low < SURROGATE_END ? 2 * ESCAPE_LEN : 0;
}

static size_t unit_len(const uint8_t *p, size_t n)
{
    if (*p == '\\')
        return escape_len(p, n);
    if (*p >= 0x80)
        return sl_utf8_multibyte_len(p, n);
    return *p >= 0x20 || *p == '\t' || *p == '\n' || *p == '\r';
}

size_t sl_json_text_check(struct sl_span text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (text.len >= sizeof(mark) && memcmp(text.data, mark, sizeof(mark)) == 0)
        return 0;
    size_t at = 0;
    while (at < text.len) {
        size_t len = unit_len(text.data + at, text.len - at);
        if (len == 0)
            return at;
        at += len;
    }
    return at;
}
