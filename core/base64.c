/* SPDX-License-Identifier: Apache-2.0 */
/* Own decoder rather than OpenSSL's EVP_DecodeBlock: that one skips blanks, accepts stray bits
 * and counts padding as output, and keys must be read strictly. */
#include "sluice/core/bytes.h"

#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Branch-free in the character, since the text may be a key. Returns -1 for a stranger. */
static int sextet(unsigned char c, bool url)
{
    int c62 = url ? '-' : '+';
    int c63 = url ? '_' : '/';
    int v = -1;
    v += (c >= 'A' && c <= 'Z') * (c - 'A' + 1);
    v += (c >= 'a' && c <= 'z') * (c - 'a' + 26 + 1);
    v += (c >= '0' && c <= '9') * (c - '0' + 52 + 1);
    v += (c == c62) * (62 + 1);
    v += (c == c63) * (63 + 1);
    return v;
}

static int decode(struct sl_span text, bool url, uint8_t *out)
{
    uint32_t acc = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.len; i++) {
        int v = sextet(text.data[i], url);
        if (v < 0)
            return -EINVAL;
        acc = (acc << 6 | (uint32_t)v) & 0xffffff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(acc >> bits);
        }
    }
    /* Left-over bits must be zero, and a single left-over character is no byte at all. */
    bool stray = (acc & ((1U << bits) - 1)) != 0;
    return bits == 6 || stray ? -EINVAL : 0;
}

static int decode_into(struct sl_span text, bool url, struct sl_bytes *ret, struct sl_error *err)
{
    size_t size = text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0);
    struct sl_bytes b = {.data = malloc(size + 1), .len = size, .cap = size + 1};
    if (!b.data)
        return sl_error_oom(err);
    if (decode(text, url, b.data) < 0) {
        sl_bytes_wipe(&b);
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not valid %s", url ? "base64url" : "base64");
    }
    b.data[size] = 0;
    *ret = b;
    return 0;
}

int sl_base64_decode(struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    if (text.len % 4)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not valid base64");
    for (int i = 0; i < 2 && text.len && text.data[text.len - 1] == '='; i++)
        text.len--;
    return decode_into(text, /* url= */ false, ret, err);
}

int sl_base64url_decode(struct sl_span text, struct sl_bytes *ret, struct sl_error *err)
{
    if (text.len % 4 == 1)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "not valid base64url");
    return decode_into(text, /* url= */ true, ret, err);
}

char *sl_base64_encode(struct sl_span bytes)
{
    char *text = malloc((bytes.len + 2) / 3 * 4 + 1);
    if (!text)
        return NULL;
    char *p = text;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t v = (uint32_t)bytes.data[i] << 16;
        v |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        v |= n > 2 ? bytes.data[i + 2] : 0;
        *p++ = alphabet[v >> 18];
        *p++ = alphabet[v >> 12 & 63];
        *p++ = (char)(n > 1 ? alphabet[v >> 6 & 63] : '=');
        *p++ = (char)(n > 2 ? alphabet[v & 63] : '=');
    }
    *p = 0;
    return text;
}

char *sl_base64url_encode(struct sl_span bytes)
{
    char *text = sl_base64_encode(bytes);
    if (!text)
        return NULL;
    size_t len = strcspn(text, "=");
    text[len] = 0;
    for (char *p = text; *p; p++)
        *p = (char)(*p == '+' ? '-' : *p == '/' ? '_' : *p);
    return text;
}
