/* SPDX-License-Identifier: Apache-2.0 */
#include "link_header.h"

#include "http_url.h"

#include <string.h>
#include <strings.h>

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t,\n");
}

static bool is_next(const char *value, size_t len)
{
    /* A list of relations, separated by blanks. */
    while (len) {
        size_t word = 0;
        while (word < len && value[word] != ' ')
            word++;
        if (word == strlen("next") && !strncasecmp(value, "next", word))
            return true;
        word += word < len;
        value += word;
        len -= word;
    }
    return false;
}

/* Behind the target: ; name=value ; name="value" ... up to a comma, a newline or the end. The first
 * rel counts (RFC 8288 3.3). */
static const char *scan_params(const char *p, bool *ret_is_next)
{
    bool has_rel = false;
    for (;;) {
        p += strspn(p, " \t;");
        const char *name = p;
        p += strcspn(p, "=;,\n \t");
        size_t name_len = (size_t)(p - name);
        p += strspn(p, " \t");
        if (*p == '=') {
            p++;
            p += strspn(p, " \t");
            bool is_quoted = *p == '"';
            p += is_quoted;
            const char *value = p;
            p += is_quoted ? strcspn(p, "\"\n") : strcspn(p, ";,\n \t");
            if (name_len == 3 && !strncasecmp(name, "rel", 3) && !has_rel) {
                has_rel = true;
                *ret_is_next = is_next(value, (size_t)(p - value));
            }
            p += is_quoted && *p == '"';
        }
        p += strspn(p, " \t");
        if (*p != ';')
            return p + strcspn(p, ",\n");
    }
}

static int resolve(const char *base, const char *target, size_t len, char **ret,
                   struct sl_error *err)
{
    SL_AUTO_FREE char *text = strndup(target, len);
    if (!text)
        return sl_error_oom(err);
    *ret = sl_url_resolve(base, text);
    return *ret ? 0
                : sl_error_set(err, SL_E_NETWORK, EPROTO,
                               "the Link to the next page makes no sense");
}

int sl_link_next(struct sl_span lines, const char *base, char **ret, struct sl_error *err)
{
    const char *p = lines.len ? (const char *)lines.data : "";
    *ret = NULL;
    while (*(p = skip_blanks(p))) {
        size_t len = *p == '<' ? strcspn(p + 1, ">\n") : 0;
        if (*p != '<' || p[len + 1] != '>')
            return sl_error_set(err, SL_E_NETWORK, EPROTO, "a Link header that makes no sense");
        const char *target = p + 1;
        bool is_it = false;
        p = scan_params(target + len + 1, &is_it);
        if (is_it)
            return resolve(base, target, len, ret, err);
    }
    return 0;
}
