/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image references: the distribution/reference grammar and docker's familiar names.
 *
 *   reference := name [ ":" tag ] [ "@" digest ]
 *   name      := [ domain "/" ] component { "/" component }
 *
 * Both repositories and policies are looked up by what comes out of here, so anything outside the
 * grammar is refused, never repaired.
 */
#include "sluice/core/reference.h"

#include <stdlib.h>
#include <string.h>

enum {
    REFERENCE_NAME_MAX = 255, /* host, "/" and repository */
    REFERENCE_TAG_MAX = 128,
    IMAGE_ID_LEN = 64,
};

static const char default_host[] = "docker.io";
static const char legacy_host[] = "index.docker.io";
static const char default_namespace[] = "library/";

/* The parts of a reference, lent from its text. */
struct piece {
    const char *p;
    size_t len;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
    return is_lower_alnum(c) || is_upper(c);
}

static bool piece_is(struct piece s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

/* Cuts the part before sep off *rest; everything when sep is missing. */
static struct piece cut(struct piece *rest, char sep)
{
    const char *at = memchr(rest->p, sep, rest->len);
    struct piece head = {rest->p, at ? (size_t)(at - rest->p) : rest->len};
    size_t eaten = head.len + (at ? 1 : 0);
    rest->p += eaten;
    rest->len -= eaten;
    return head;
}

/* Length of the separator at the start of s: "." or "_" or "__" or dashes; 0 for none. */
static size_t separator_len(struct piece s)
{
    size_t n = 0;
    if (s.len == 0)
        return 0;
    if (s.p[0] == '.')
        return 1;
    if (s.p[0] == '_')
        return s.len > 1 && s.p[1] == '_' ? 2 : 1;
    while (n < s.len && s.p[n] == '-')
        n++;
    return n;
}

/* component := lower { sep lower } */
static bool component_is_valid(struct piece s)
{
    for (;;) {
        size_t n = 0;
        while (n < s.len && is_lower_alnum(s.p[n]))
            n++;
        if (n == 0)
            return false;
        s.p += n;
        s.len -= n;
        if (s.len == 0)
            return true;
        n = separator_len(s);
        if (n == 0)
            return false;
        s.p += n;
        s.len -= n;
    }
}

static bool path_is_valid(struct piece path)
{
    if (path.len == 0 || path.p[path.len - 1] == '/')
        return false;
    while (path.len > 0)
        if (!component_is_valid(cut(&path, '/')))
            return false;
    return true;
}

/* dcomp := alnum | alnum { alnum | "-" } alnum */
static bool domain_label_is_valid(struct piece s)
{
    if (s.len == 0 || !is_alnum(s.p[0]) || !is_alnum(s.p[s.len - 1]))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '-')
            return false;
    return true;
}

/* ":" digits, or nothing. */
static bool port_is_valid(struct piece s)
{
    if (s.len == 0)
        return true;
    for (size_t i = 1; i < s.len; i++)
        if (!is_digit(s.p[i]))
            return false;
    return s.p[0] == ':' && s.len > 1;
}

/* The bytes of "[" ( hex | ":" )+ "]" at the start of domain; 0: there is none. Whether it is an
 * address is seen when it is asked for, as with other hosts. */
static size_t ipv6_len(struct piece domain)
{
    size_t n = 1;
    if (domain.len == 0 || domain.p[0] != '[')
        return 0;
    while (n < domain.len && strchr("0123456789abcdefABCDEF:", domain.p[n]))
        n++;
    return n > 1 && n < domain.len && domain.p[n] == ']' ? n + 1 : 0;
}

/* domain := ( dcomp { "." dcomp } | "[" ipv6 "]" ) [ ":" digits ] */
static bool domain_is_valid(struct piece domain)
{
    size_t n = ipv6_len(domain);
    const char *colon = n ? NULL : memchr(domain.p, ':', domain.len);
    size_t host_len = n ? n : colon ? (size_t)(colon - domain.p) : domain.len;
    struct piece name = {domain.p, host_len};
    if (!port_is_valid((struct piece){domain.p + host_len, domain.len - host_len}))
        return false;
    if (n)
        return true;
    if (name.len == 0 || name.p[name.len - 1] == '.')
        return false;
    while (name.len > 0)
        if (!domain_label_is_valid(cut(&name, '.')))
            return false;
    return true;
}

/* tag := [A-Za-z0-9_] [A-Za-z0-9_.-]{0,127} */
static bool tag_is_valid(struct piece s)
{
    if (s.len == 0 || s.len > REFERENCE_TAG_MAX || s.p[0] == '.' || s.p[0] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.p[i]) && !strchr("_.-", s.p[i]))
            return false;
    return true;
}

/* Such a name would be taken for an image ID wherever users type it. */
static bool looks_like_image_id(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");
    return n == IMAGE_ID_LEN && text[n] == '\0';
}

/* What comes before the first slash is a domain only when it could not be a folder of docker.io.
 * Leaves the rest in *text. */
static struct piece split_domain(struct piece *text)
{
    struct piece rest = *text;
    struct piece first = cut(&rest, '/');
    bool is_domain =
        first.len < text->len && (memchr(first.p, '.', first.len) ||
                                  memchr(first.p, ':', first.len) || piece_is(first, "localhost"));
    if (!is_domain)
        return (struct piece){default_host, strlen(default_host)};
    *text = rest;
    if (piece_is(first, legacy_host))
        return (struct piece){default_host, strlen(default_host)};
    return first;
}

static char *join(const char *prefix, struct piece s)
{
    return sl_strf("%s%.*s", prefix, (int)s.len, s.p);
}

static int refuse(struct sl_error *err, const char *text, const char *why)
{
    return sl_error_set(err, SL_E_FORMAT, EINVAL, "image reference \"%s\": %s", text, why);
}

static int set_name(struct sl_reference *ref, const char *text, struct piece domain,
                    struct piece path, struct sl_error *err)
{
    /* First of all, so that no length below can be out of range. */
    if (domain.len + 1 + path.len > REFERENCE_NAME_MAX)
        return refuse(err, text, "the name is longer than 255 characters");
    for (size_t i = 0; i < path.len; i++)
        if (is_upper(path.p[i]))
            return refuse(err, text, "the repository name must be lower case");
    if (!domain_is_valid(domain))
        return refuse(err, text, "the registry host is not a valid host name");
    if (!path_is_valid(path))
        return refuse(err, text, "the repository name is not valid");
    bool is_familiar = piece_is(domain, default_host) && !memchr(path.p, '/', path.len);
    const char *prefix = is_familiar ? default_namespace : "";
    if (domain.len + 1 + strlen(prefix) + path.len > REFERENCE_NAME_MAX)
        return refuse(err, text, "the name is longer than 255 characters");
    ref->host = join("", domain);
    ref->repository = join(prefix, path);
    return ref->host && ref->repository ? 0 : sl_error_oom(err);
}

static int set_tag(struct sl_reference *ref, const char *text, struct piece tag,
                   struct sl_error *err)
{
    if (!tag_is_valid(tag))
        return refuse(err, text, "the tag is not valid");
    ref->tag = join("", tag);
    return ref->tag ? 0 : sl_error_oom(err);
}

/* Any algorithm's name may stand here; which ones are supported is another question. */
static bool algorithm_is_valid(struct piece digest)
{
    struct piece name = cut(&digest, ':');
    if (name.len == 0 || !is_alnum(name.p[0]) || is_digit(name.p[0]))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_alnum(name.p[i]) && !strchr("-_+.", name.p[i]))
            return false;
    return true;
}

static int set_digest(struct sl_reference *ref, const char *text, struct piece digest,
                      struct sl_error *err)
{
    if (!algorithm_is_valid(digest))
        return refuse(err, text, "the digest is not valid (algorithm:hex)");
    /* It is the last part, so it ends with the text. */
    int r = sl_digest_parse(digest.p, &ref->digest, err);
    if (r < 0)
        return sl_error_wrap(err, r, "image reference \"%s\"", text);
    ref->has_digest = true;
    return 0;
}

/* rest: what follows the domain. */
static int parse_rest(struct sl_reference *ref, const char *text, struct piece domain,
                      struct piece rest, const char *default_tag, struct sl_error *err)
{
    bool has_digest = memchr(rest.p, '@', rest.len) != NULL;
    struct piece named = cut(&rest, '@');
    bool has_tag = memchr(named.p, ':', named.len) != NULL;
    struct piece path = cut(&named, ':');

    int r = set_name(ref, text, domain, path, err);
    if (r >= 0 && has_tag)
        r = set_tag(ref, text, named, err);
    else if (r >= 0 && !has_digest && default_tag)
        r = set_tag(ref, text, (struct piece){default_tag, strlen(default_tag)}, err);
    return r < 0 || !has_digest ? r : set_digest(ref, text, rest, err);
}

static int parse(const char *text, const char *default_tag, struct sl_reference **ret,
                 struct sl_error *err)
{
    if (!text || !*text)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the image reference is empty");
    if (looks_like_image_id(text))
        return refuse(err, text, "an image ID is not a name; give registry/repository@sha256:ID");
    SL_AUTO(sl_reference) ref = calloc(1, sizeof(*ref));
    if (!ref)
        return sl_error_oom(err);
    struct piece rest = {text, strlen(text)};
    struct piece domain = split_domain(&rest);
    int r = parse_rest(ref, text, domain, rest, default_tag, err);
    if (r < 0)
        return r;
    *ret = sl_steal(&ref);
    return 0;
}

int sl_reference_parse(const char *text, struct sl_reference **ret, struct sl_error *err)
{
    return parse(text, "latest", ret, err);
}

int sl_reference_parse_as_written(const char *text, struct sl_reference **ret, struct sl_error *err)
{
    return parse(text, /* default_tag= */ NULL, ret, err);
}

struct sl_reference *sl_reference_free(struct sl_reference *ref)
{
    if (ref) {
        free(ref->host);
        free(ref->repository);
        free(ref->tag);
        free(ref);
    }
    return NULL;
}

char *sl_reference_format(const struct sl_reference *ref)
{
    char digest[SL_DIGEST_TEXT_MAX] = "";
    if (ref->has_digest)
        sl_digest_format(&ref->digest, digest);
    return sl_strf("%s/%s%s%s%s%s", ref->host, ref->repository, ref->tag ? ":" : "",
                   ref->tag ? ref->tag : "", ref->has_digest ? "@" : "", digest);
}
