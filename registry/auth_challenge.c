/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A challenge is "scheme token68" or "scheme name=value, name=value"; the comma also separates
 * challenges, so that only the '=' behind a word tells a parameter from the next scheme.
 */
#include "auth_challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    PARAM_MAX = 8192, /* bytes of one parameter; longer ones end the line */
};

struct cursor {
    const char *p, *end;
};

void sl_auth_challenge_done(struct sl_auth_challenge *c)
{
    free(c->realm);
    free(c->service);
    free(c->scope);
    free(c->error);
    *c = (struct sl_auth_challenge){0};
}

/* tchar of RFC 9110 5.6.2, with what token68 adds except '='. */
static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~/", c));
}

static void skip(struct cursor *c, const char *bytes)
{
    while (c->p < c->end && *c->p && strchr(bytes, *c->p))
        c->p++;
}

static struct sl_span take_word(struct cursor *c)
{
    const char *start = c->p;
    while (c->p < c->end && is_word_byte(*c->p))
        c->p++;
    return (struct sl_span){(const uint8_t *)start, (size_t)(c->p - start)};
}

static bool word_is(struct sl_span word, const char *text)
{
    return word.len == strlen(text) && !strncasecmp((const char *)word.data, text, word.len);
}

/* Behind the opening quote. False when the closing one is missing or the value is not text. */
static bool take_quoted(struct cursor *c, char *out, size_t room)
{
    size_t n = 0;
    while (c->p < c->end && *c->p != '"') {
        if (*c->p == '\\' && c->p + 1 < c->end)
            c->p++;
        if (n + 1 >= room || (unsigned char)*c->p < 0x20 || *c->p == 0x7f)
            return false;
        out[n++] = *c->p++;
    }
    if (c->p == c->end)
        return false;
    c->p++;
    out[n] = '\0';
    return true;
}

static bool take_value(struct cursor *c, char *out, size_t room)
{
    if (c->p < c->end && *c->p == '"') {
        c->p++;
        return take_quoted(c, out, room);
    }
    struct sl_span word = take_word(c);
    /* Some servers leave the quotes away around a URL; nothing else can be meant by ':' here. */
    while (c->p < c->end && (is_word_byte(*c->p) || (*c->p && strchr(":?=", *c->p)))) {
        c->p++;
        word.len++;
    }
    if (word.len + 1 > room)
        return false;
    memcpy(out, word.data, word.len);
    out[word.len] = '\0';
    return true;
}

static char **param_slot(struct sl_auth_challenge *c, struct sl_span name)
{
    if (word_is(name, "realm"))
        return &c->realm;
    if (word_is(name, "service"))
        return &c->service;
    if (word_is(name, "scope"))
        return &c->scope;
    return word_is(name, "error") ? &c->error : NULL;
}

/* Parameters up to the next scheme or the end. 1: go on, 0: the line is broken. */
static int take_params(struct cursor *c, struct sl_auth_challenge *into, char *value,
                       struct sl_error *err)
{
    for (;;) {
        skip(c, ", \t");
        struct cursor ahead = *c;
        struct sl_span name = take_word(&ahead);
        skip(&ahead, " \t");
        if (!name.len || ahead.p == ahead.end || *ahead.p != '=')
            return 1;
        ahead.p++;
        skip(&ahead, " \t");
        if (!take_value(&ahead, value, PARAM_MAX))
            return 0;
        *c = ahead;
        char **slot = param_slot(into, name);
        if (!slot || *slot)
            continue; /* a repeated parameter: the first one holds */
        *slot = strdup(value);
        if (!*slot)
            return sl_error_oom(err);
    }
}

static enum sl_auth_scheme scheme_of(struct sl_span word)
{
    if (word_is(word, "bearer"))
        return SL_AUTH_BEARER;
    return word_is(word, "basic") ? SL_AUTH_BASIC : SL_AUTH_NONE;
}

static void keep_better(struct sl_auth_challenge *best, struct sl_auth_challenge *c)
{
    bool is_usable = c->scheme == SL_AUTH_BASIC || (c->scheme == SL_AUTH_BEARER && c->realm);
    if (!is_usable || c->scheme <= best->scheme) {
        sl_auth_challenge_done(c);
        return;
    }
    sl_auth_challenge_done(best);
    *best = *c;
}

static int parse_line(struct cursor c, struct sl_auth_challenge *best, char *value,
                      struct sl_error *err)
{
    for (;;) {
        skip(&c, ", \t");
        struct sl_span word = take_word(&c);
        if (!word.len)
            return 0;
        struct sl_auth_challenge next = {.scheme = scheme_of(word)};
        struct cursor before = c;
        int r = take_params(&c, &next, value, err);
        if (r < 0) {
            sl_auth_challenge_done(&next);
            return r;
        }
        keep_better(best, &next);
        if (!r)
            return 0;
        /* "Negotiate YII=": a token68 is passed over with its padding. */
        if (c.p < c.end && *c.p == '=')
            skip(&c, "=");
        else if (c.p == before.p && c.p < c.end && !is_word_byte(*c.p))
            return 0;
    }
}

int sl_auth_challenge_parse(struct sl_span headers, struct sl_auth_challenge *ret,
                            struct sl_error *err)
{
    if (!headers.len)
        return 0;
    SL_AUTO_DONE(sl_auth_challenge) best = {0};
    SL_AUTO_FREE char *value = malloc(PARAM_MAX);
    if (!value)
        return sl_error_oom(err);
    const char *p = (const char *)headers.data, *end = p + headers.len;
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol)
            eol = end;
        int r = parse_line((struct cursor){p, eol}, &best, value, err);
        if (r < 0)
            return r;
        p = eol < end ? eol + 1 : end;
    }
    *ret = best;
    best = (struct sl_auth_challenge){0};
    return 0;
}
