/* SPDX-License-Identifier: Apache-2.0 */
#include "registry_error.h"

#include "sluice/core/json.h"

#include <stdio.h>

enum {
    QUOTE_MAX = 200, /* bytes of a registry's own words */
};

/* Plain ASCII: a message must not steer the terminal it is printed on. */
static void keep_ascii(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

/* ": DENIED: requested access to the resource is denied", or "". Token servers also answer
 * {"details": "..."} or {"error": "...", "error_description": "..."}. */
static void quote(struct sl_span body, char out[QUOTE_MAX])
{
    out[0] = '\0';
    SL_AUTO(sl_json_doc) doc = NULL;
    if (sl_json_parse(body, "error", NULL, &doc, NULL) < 0)
        return;
    const struct sl_json *root = sl_json_root(doc);
    const struct sl_json *first = sl_json_at(sl_json_get(root, "errors"), 0);
    const char *code = sl_json_string(sl_json_get(first, "code"));
    const char *message = sl_json_string(sl_json_get(first, "message"));
    if (!code && !message) {
        code = sl_json_string(sl_json_get(root, "error"));
        message = sl_json_string(sl_json_get(root, "error_description"));
    }
    if (!code && !message)
        message = sl_json_string(sl_json_get(root, "details"));
    if (!code && !message)
        return;
    (void)snprintf(out, QUOTE_MAX, ": %s%s%s", code ? code : "", code && message ? ": " : "",
                   message ? message : "");
    keep_ascii(out);
}

int sl_registry_error_set(long status, struct sl_span body, struct sl_error *err)
{
    char said[QUOTE_MAX];
    quote(body, said);
    switch (status) {
    case 401:
        return sl_error_set(err, SL_E_AUTH, EACCES,
                            "Not authorized%s; check the credentials (--creds, --authfile)", said);
    case 403:
        return sl_error_set(err, SL_E_AUTH, EACCES, "Not authorized: access denied (HTTP 403)%s",
                            said);
    case 404:
        return sl_error_set(err, SL_E_NETWORK, ENOENT, "not found (HTTP 404)%s", said);
    case 407:
        return sl_error_set(err, SL_E_NETWORK, EACCES,
                            "the proxy wants other credentials (HTTP 407)%s", said);
    case 429:
        return sl_error_set(err, SL_E_NETWORK, EBUSY, "too many requests (HTTP 429)%s", said);
    case 0:
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "the server does not speak HTTP");
    default:
        return sl_error_set(err, SL_E_NETWORK, EPROTO, "unexpected answer HTTP %ld%s", status,
                            said);
    }
}
