/* SPDX-License-Identifier: Apache-2.0 */
#include "token_answer.h"

#include "sluice/core/json.h"

#include <curl/curl.h>
#include <string.h>

enum {
    TOKEN_MAX = 32 * 1024,       /* bytes of a token: must fit in a request's head */
    LIFETIME_MIN = 60,           /* seconds; also the default (token.md) */
    LIFETIME_MAX = 24 * 60 * 60, /* seconds */
    REQUEST_MAX = 64 * 1024,     /* bytes of a URL or form */
};
#define CLIENT_ID "sluice"

/* Appends "NAME=VALUE", escaped, behind the separator that fits. */
static int add_param(struct sl_bytes *out, char separator, const char *name, struct sl_span value)
{
    char *escaped = curl_easy_escape(NULL, (const char *)value.data, (int)value.len);
    SL_AUTO_SECRET text = escaped ? sl_strf("%c%s=%s", separator, name, escaped) : NULL;
    if (escaped)
        sl_wipe(escaped, strlen(escaped));
    curl_free(escaped);
    if (!text)
        return -ENOMEM;
    return sl_bytes_append(out, sl_span_of(text), REQUEST_MAX, NULL);
}

static int add_scopes(struct sl_bytes *out, char separator, const char *scope)
{
    int r = 0;
    for (const char *p = scope ? scope : ""; r == 0 && *p;) {
        size_t len = strcspn(p, " ");
        if (len) {
            r = add_param(out, separator, "scope", (struct sl_span){(const uint8_t *)p, len});
            separator = '&';
        }
        p += len + strspn(p + len, " ");
    }
    return r;
}

char *sl_token_url(const char *realm, const char *service, const char *scope, const char *account)
{
    struct sl_bytes url = {0};
    char separator = strchr(realm, '?') ? '&' : '?';
    int r = sl_bytes_append(&url, sl_span_of(realm), REQUEST_MAX, NULL);
    if (r == 0 && service) {
        r = add_param(&url, separator, "service", sl_span_of(service));
        separator = '&';
    }
    if (r == 0 && account) {
        r = add_param(&url, separator, "account", sl_span_of(account));
        separator = '&';
    }
    if (r == 0)
        r = add_scopes(&url, separator, scope);
    if (r < 0)
        sl_bytes_done(&url);
    return r < 0 ? NULL : (char *)url.data;
}

char *sl_token_form(const char *service, const char *scope, const char *identity_token)
{
    struct sl_bytes form = {0};
    int r = sl_bytes_append(&form, sl_span_of("grant_type=refresh_token&client_id=" CLIENT_ID),
                            REQUEST_MAX, NULL);
    if (r == 0 && service)
        r = add_param(&form, '&', "service", sl_span_of(service));
    /* OAuth2 has one scope parameter, a list separated by blanks (RFC 6749 3.3). */
    if (r == 0 && scope && *scope)
        r = add_param(&form, '&', "scope", sl_span_of(scope));
    if (r == 0)
        r = add_param(&form, '&', "refresh_token", sl_span_of(identity_token));
    if (r < 0)
        sl_bytes_wipe(&form);
    return r < 0 ? NULL : (char *)form.data;
}

char *sl_basic_value(const struct sl_credentials *credentials)
{
    SL_AUTO_SECRET pair = sl_strf("%s:%s", credentials->username, credentials->password);
    SL_AUTO_SECRET text = pair ? sl_base64_encode(sl_span_of(pair)) : NULL;
    return text ? sl_strf("Basic %s", text) : NULL;
}

int sl_bearer_value(const char *token, char **ret, struct sl_error *err)
{
    size_t len = strlen(token);
    if (!len || len > TOKEN_MAX)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a bearer token of %zu bytes", len);
    for (const char *p = token; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return sl_error_set(err, SL_E_FORMAT, EBADMSG, "a bearer token with strange bytes");
    char *value = sl_strf("Bearer %s", token);
    if (!value)
        return sl_error_oom(err);
    *ret = value;
    return 0;
}

int sl_token_answer_parse(struct sl_span json, char **ret_value, unsigned *ret_seconds,
                          struct sl_error *err)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    int r = sl_json_parse(json, "token", NULL, &doc, err);
    if (r < 0)
        return r;
    const struct sl_json *root = sl_json_root(doc);
    const char *token = sl_json_string(sl_json_get(root, "token"));
    if (!token || !*token)
        token = sl_json_string(sl_json_get(root, "access_token"));
    if (!token)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG, "the token server sent no token");
    int64_t seconds = LIFETIME_MIN;
    (void)sl_json_int64(sl_json_get(root, "expires_in"), &seconds);
    if (seconds < LIFETIME_MIN)
        seconds = LIFETIME_MIN;
    if (seconds > LIFETIME_MAX)
        seconds = LIFETIME_MAX;
    r = sl_bearer_value(token, ret_value, err);
    if (r == 0)
        *ret_seconds = (unsigned)seconds;
    return r;
}
