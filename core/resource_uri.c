/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

enum {
    URI_MAX = 1024,
    SEGMENTS_MAX = 16,
    PORT_DIGITS_MAX = 5,
    RESOURCE_SEGMENTS = 3, /* repository, type, tag */
};

#define SCHEME "kbs"
#define DEFAULT_PLUGIN "resource"
#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS
#define NOT_A_URI "invalid kbs resource uri, should be kbs://<addr-of-kbs>/<repo>/<type>/<tag>"

/* A piece of the text that is being parsed. */
struct part {
    const char *at;
    size_t len;
};

struct parts {
    const char *text; /* the whole, for messages */
    struct part plugin, host, path, query;
    size_t n_segments;
};

static int refuse(const struct parts *p, const char *why, struct sl_error *err)
{
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "resource URI %.100s: %s", p->text, why);
}

static int refuse_part(const struct parts *p, const char *why, struct part part,
                       struct sl_error *err)
{
    int shown = part.len < 100 ? (int)part.len : 100;
    return sl_error_set(err, SL_E_FORMAT, EBADMSG, "resource URI %.100s: %s '%.*s'", p->text, why,
                        shown, part.at);
}

/* first: allowed at the beginning; rest: additionally allowed behind it. */
static bool is_word(struct part part, const char *first, const char *rest)
{
    if (part.len == 0 || !strchr(first, part.at[0]))
        return false;
    for (size_t i = 1; i < part.len; i++)
        if (!strchr(first, part.at[i]) && !strchr(rest, part.at[i]))
            return false;
    return true;
}

/* What part has before c, which part is left behind; all of it when there is no c. */
static struct part cut(struct part *part, char c)
{
    const char *end = memchr(part->at, c, part->len);
    struct part head = {part->at, end ? (size_t)(end - part->at) : part->len};
    part->at += head.len;
    part->len -= head.len;
    return head;
}

static struct part skip(struct part part, size_t n)
{
    return (struct part){part.at + n, part.len - n};
}

/* Nothing, or ":PORT". */
static bool is_port(struct part part)
{
    return part.len == 0 || (part.at[0] == ':' && part.len <= 1 + PORT_DIGITS_MAX &&
                             is_word(skip(part, 1), DIGITS, ""));
}

/* HOST, HOST:PORT, [V6], [V6]:PORT, or nothing. */
static bool is_authority(struct part part)
{
    if (part.len == 0)
        return true;
    bool is_v6 = part.at[0] == '[';
    struct part host = cut(&part, is_v6 ? ']' : ':');
    if (!is_v6)
        return is_word(host, ALNUM, "-._") && is_port(part);
    return is_word(skip(host, 1), ALNUM ":", ".") && part.len > 0 && is_port(skip(part, 1));
}

static bool is_query(struct part part)
{
    for (size_t i = 0; i < part.len; i++)
        if (part.at[i] <= ' ' || part.at[i] > '~' || part.at[i] == '#')
            return false;
    return true;
}

static int split_scheme(struct parts *p, struct part scheme, struct sl_error *err)
{
    struct part plugin = scheme;
    struct part name = cut(&plugin, '+');
    if (name.len != strlen(SCHEME) || memcmp(name.at, SCHEME, name.len) != 0)
        return refuse_part(p, "scheme must be kbs or kbs+<plugin>, not", scheme, err);
    if (plugin.len == 0) {
        p->plugin = (struct part){DEFAULT_PLUGIN, strlen(DEFAULT_PLUGIN)};
        return 0;
    }
    p->plugin = skip(plugin, 1);
    if (p->plugin.len == 0)
        return refuse(p, "scheme kbs+ requires a plugin name, e.g. kbs+pkcs11", err);
    if (!is_word(p->plugin, LOWER DIGITS, "._-"))
        return refuse_part(p, "malformed plugin name", p->plugin, err);
    return 0;
}

static int check_path(struct parts *p, struct sl_error *err)
{
    if (memmem(p->path.at, p->path.len, "://", 3))
        return refuse_part(p, "the scheme is doubled in", p->path, err);
    struct part rest = p->path;
    for (;;) {
        struct part segment = cut(&rest, '/');
        if (!is_word(segment, ALNUM "_-", "."))
            return refuse_part(p, "malformed path segment", segment, err);
        if (++p->n_segments > SEGMENTS_MAX)
            return refuse_part(p, "too many path segments, from", segment, err);
        if (rest.len == 0)
            return 0;
        rest = skip(rest, 1);
    }
}

/* [HOST]/PATH[?QUERY] */
static int split_rest(struct parts *p, struct part rest, struct sl_error *err)
{
    p->host = cut(&rest, '/');
    if (!is_authority(p->host))
        return refuse_part(p, "malformed host", p->host, err);
    if (rest.len <= 1)
        return refuse(p, NOT_A_URI, err);
    rest = skip(rest, 1);
    p->path = cut(&rest, '?');
    int r = check_path(p, err);
    if (r < 0 || rest.len == 0)
        return r;
    p->query = skip(rest, 1);
    return is_query(p->query) ? 0 : refuse_part(p, "malformed query", p->query, err);
}

/* To new memory; NULL stays NULL. */
static bool keep(struct part part, char **ret)
{
    if (part.at)
        *ret = strndup(part.at, part.len);
    return !part.at || *ret;
}

static int keep_parts(const struct parts *p, struct sl_resource_uri *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_resource_uri) uri = {.n_segments = p->n_segments};
    if (!keep(p->plugin, &uri.plugin) || !keep(p->host, &uri.host) || !keep(p->path, &uri.path) ||
        !keep(p->query, &uri.query))
        return sl_error_oom(err);
    *ret = uri;
    uri = (struct sl_resource_uri){0};
    return 0;
}

static int check_size(const char *text, size_t max, struct sl_error *err)
{
    if (strnlen(text, max + 1) <= max)
        return 0;
    return sl_error_set(err, SL_E_LIMIT, E2BIG, "resource URI %.100s… exceeds %zu bytes", text,
                        max);
}

int sl_resource_uri_parse(const char *text, struct sl_resource_uri *ret, struct sl_error *err)
{
    int r = check_size(text, URI_MAX, err);
    if (r < 0)
        return r;
    struct parts p = {.text = text};
    const char *scheme_end = strstr(text, "://");
    if (!scheme_end)
        return refuse(&p, NOT_A_URI, err);
    r = split_scheme(&p, (struct part){text, (size_t)(scheme_end - text)}, err);
    if (r == 0)
        r = split_rest(&p, (struct part){scheme_end + 3, strlen(scheme_end + 3)}, err);
    return r < 0 ? r : keep_parts(&p, ret, err);
}

int sl_resource_uri_parse_kid(const char *text, struct sl_resource_uri *ret, struct sl_error *err)
{
    if (strstr(text, "://"))
        return sl_resource_uri_parse(text, ret, err);
    /* Room for what it stands for. */
    int r = check_size(text, URI_MAX - strlen(SCHEME "://"), err);
    if (r < 0)
        return r;
    struct parts p = {.text = text, .plugin = {DEFAULT_PLUGIN, strlen(DEFAULT_PLUGIN)}};
    r = split_rest(&p, (struct part){text, strlen(text)}, err);
    if (r < 0)
        return r;
    if (p.n_segments != RESOURCE_SEGMENTS || p.query.at)
        return refuse(&p, NOT_A_URI, err);
    return keep_parts(&p, ret, err);
}

char *sl_resource_uri_format(const struct sl_resource_uri *uri)
{
    bool is_default = strcmp(uri->plugin, DEFAULT_PLUGIN) == 0;
    return sl_strf(SCHEME "%s%s://%s/%s%s%s", is_default ? "" : "+", is_default ? "" : uri->plugin,
                   uri->host, uri->path, uri->query ? "?" : "", uri->query ? uri->query : "");
}

int sl_resource_uri_need_resource(const struct sl_resource_uri *uri, struct sl_error *err)
{
    if (strcmp(uri->plugin, DEFAULT_PLUGIN) != 0)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "resource URI of %.100s: only plugin " DEFAULT_PLUGIN
                            " is served here, not %.100s",
                            uri->path, uri->plugin);
    if (uri->n_segments != RESOURCE_SEGMENTS)
        return sl_error_set(err, SL_E_FORMAT, EBADMSG,
                            "resource uri path must be %d instead of %zu: %.100s",
                            RESOURCE_SEGMENTS, uri->n_segments, uri->path);
    return 0;
}

void sl_resource_uri_done(struct sl_resource_uri *uri)
{
    int saved = errno;
    free(uri->plugin);
    free(uri->host);
    free(uri->path);
    free(uri->query);
    *uri = (struct sl_resource_uri){0};
    errno = saved;
}
