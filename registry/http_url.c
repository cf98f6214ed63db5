/* SPDX-License-Identifier: Apache-2.0 */
#include "http_url.h"

#include "sluice/core/bytes.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    URL_MAX = 16 * 1024, /* bytes: signed object store URLs reach a few thousand */
};

struct origin {
    char *scheme, *host, *port;
};

static void origin_done(struct origin *o)
{
    curl_free(o->scheme);
    curl_free(o->host);
    curl_free(o->port);
}
SL_DEFINE_AUTO_DONE(origin, origin_done)

static bool get_origin(CURLU *u, struct origin *ret)
{
    return !curl_url_get(u, CURLUPART_SCHEME, &ret->scheme, 0) &&
           !curl_url_get(u, CURLUPART_HOST, &ret->host, 0) &&
           !curl_url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT) &&
           (!strcasecmp(ret->scheme, "http") || !strcasecmp(ret->scheme, "https"));
}

static bool parse_origin(const char *url, struct origin *ret)
{
    CURLU *u = curl_url();
    bool ok = u && !curl_url_set(u, CURLUPART_URL, url, 0) && get_origin(u, ret);
    curl_url_cleanup(u);
    return ok;
}

bool sl_url_is_same_origin(const char *a, const char *b)
{
    SL_AUTO_DONE(origin) x = {0};
    SL_AUTO_DONE(origin) y = {0};
    return parse_origin(a, &x) && parse_origin(b, &y) && !strcasecmp(x.scheme, y.scheme) &&
           !strcasecmp(x.host, y.host) && !strcmp(x.port, y.port);
}

bool sl_url_is_https(const char *url)
{
    return !strncasecmp(url, "https://", 8);
}

char *sl_url_origin(const char *url)
{
    SL_AUTO_DONE(origin) o = {0};
    return parse_origin(url, &o) ? sl_strf("%s://%s:%s", o.scheme, o.host, o.port) : NULL;
}

char *sl_url_resolve(const char *base, const char *location)
{
    if (strlen(location) > URL_MAX)
        return NULL;
    CURLU *u = curl_url();
    char *user = NULL, *text = NULL, *copy = NULL;
    SL_AUTO_DONE(origin) o = {0};
    if (u && !curl_url_set(u, CURLUPART_URL, base, 0) &&
        !curl_url_set(u, CURLUPART_URL, location, CURLU_URLENCODE) &&
        !curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0) && get_origin(u, &o) &&
        curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
        !curl_url_get(u, CURLUPART_URL, &text, 0))
        copy = strdup(text);
    curl_free(user);
    curl_free(text);
    curl_url_cleanup(u);
    return copy;
}
