/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of key ids. Readers elsewhere hand them to a browser's URL parser, which resolves
 * "..", drops user names and accepts doubled schemes; the image chooses this text, so here it
 * either has the plain form or is refused.
 */
#include "coco_packet.h"

#include <string.h>

enum { KID_MAX = 1024, SEGMENTS_MAX = 16, OLD_FORM_SEGMENTS = 3 };

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static int bad_kid(const char *kid, const char *why, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "kid %.100s: %s, should be kbs:///REPO/TYPE/TAG",
                        kid, why);
}

/* first: allowed at the beginning; rest: additionally allowed behind it. */
static bool is_word(const char *text, size_t len, const char *first, const char *rest)
{
    if (len == 0 || !strchr(first, text[0]) || !text[0])
        return false;
    for (size_t i = 1; i < len; i++)
        if (!text[i] || (!strchr(first, text[i]) && !strchr(rest, text[i])))
            return false;
    return true;
}

/* 1 to SEGMENTS_MAX segments up to the query. Returns their number, or 0. */
static size_t count_segments(const char *path, size_t len)
{
    size_t n = 0;
    const char *end = path + len;
    for (const char *p = path;; p++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t segment = slash ? (size_t)(slash - p) : (size_t)(end - p);
        if (++n > SEGMENTS_MAX || !is_word(p, segment, ALNUM "_-", "."))
            return 0;
        if (!slash)
            return n;
        p = slash;
    }
}

/* HOST, HOST:PORT or [V6]:PORT, or nothing. Nobody connects to it. */
static bool is_authority(const char *text, size_t len)
{
    if (len == 0)
        return true;
    if (text[0] == '[')
        return is_word(text, len, "[", ALNUM ":.]") && memchr(text, ']', len);
    const char *colon = memchr(text, ':', len);
    size_t host = colon ? (size_t)(colon - text) : len;
    return is_word(text, host, ALNUM, "-._") &&
           (!colon || is_word(colon + 1, len - host - 1, "0123456789", ""));
}

static bool is_query(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '#')
            return false;
    return true;
}

static int check_scheme(const char *kid, size_t len, struct sl_error *err)
{
    if (len == 3 && memcmp(kid, "kbs", 3) == 0)
        return 0;
    if (len < 4 || memcmp(kid, "kbs+", 4) != 0)
        return bad_kid(kid, "scheme must be kbs or kbs+<plugin>", err);
    if (len == 4)
        return bad_kid(kid, "scheme kbs+ requires a plugin name, e.g. kbs+pkcs11", err);
    if (!is_word(kid + 4, len - 4, LOWER "0123456789", "._-"))
        return bad_kid(kid, "malformed plugin name", err);
    return 0;
}

static int check_uri(const char *kid, const char *authority, struct sl_error *err)
{
    const char *path = strchr(authority, '/');
    if (!path)
        return bad_kid(kid, "no path", err);
    if (!is_authority(authority, (size_t)(path - authority)))
        return bad_kid(kid, "malformed host", err);
    path++;
    size_t len = strcspn(path, "?");
    if (memmem(path, len, "://", 3))
        return bad_kid(kid, "the scheme is doubled", err);
    if (!count_segments(path, len))
        return bad_kid(kid, "malformed path", err);
    if (!is_query(path + len))
        return bad_kid(kid, "malformed query", err);
    return 0;
}

int sl_kid_check(const char *kid, struct sl_error *err)
{
    if (strlen(kid) > KID_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "kid exceeds %d bytes", KID_MAX);
    const char *scheme_end = strstr(kid, "://");
    if (scheme_end) {
        int r = check_scheme(kid, (size_t)(scheme_end - kid), err);
        return r < 0 ? r : check_uri(kid, scheme_end + 3, err);
    }
    const char *slash = strchr(kid, '/');
    if (!slash || !is_authority(kid, (size_t)(slash - kid)) ||
        count_segments(slash + 1, strlen(slash + 1)) != OLD_FORM_SEGMENTS)
        return bad_kid(kid, "not a resource URI", err);
    return 0;
}
