/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_token.h"

#include "http_url.h"
#include "sluice/core/cancel.h"
#include "token_answer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ANSWER_MAX = 64 * 1024, /* bytes of a token server's answer */
};

struct sl_token {
    struct sl_token_cache *cache;
    struct sl_token *next;
    char *key;   /* realm, service, scope, account */
    char *value; /* "Bearer …", a secret; NULL: none yet */
    time_t good_until;
    bool is_fetching;
    time_t asked_at;
    struct sl_fetch fetch;
    char *realm, *url;  /* for POST and for GET, with its query */
    char *form, *basic; /* secrets, or NULL */
    struct sl_bytes answer;
    struct sl_token_waiter *waiters;
};

#define TOKEN_OF(f) ((struct sl_token *)((char *)(f)-offsetof(struct sl_token, fetch)))

static time_t now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_BOOTTIME, &ts);
    return ts.tv_sec;
}

/* --- tokens --- */

static void forget_request(struct sl_token *token)
{
    free(token->realm);
    free(token->url);
    sl_secret_free(token->form);
    sl_secret_free(token->basic);
    sl_bytes_wipe(&token->answer);
    token->realm = token->url = token->form = token->basic = NULL;
    token->answer = (struct sl_bytes){0};
}

static void forget_value(struct sl_token *token)
{
    sl_secret_free(token->value);
    token->value = NULL;
}

static struct sl_token *token_free(struct sl_token *token)
{
    if (!token)
        return NULL;
    forget_request(token);
    forget_value(token);
    free(token->key);
    free(token);
    return NULL;
}

static bool is_good(const struct sl_token *token)
{
    return token->value && now_s() < token->good_until;
}

/* What nobody needs any more; keeps a long-lived process small. */
static void prune(struct sl_token_cache *cache)
{
    for (struct sl_token **p = &cache->tokens; *p;) {
        struct sl_token *token = *p;
        if (token->is_fetching || token->waiters || is_good(token)) {
            p = &token->next;
            continue;
        }
        *p = token->next;
        token_free(token);
    }
}

static struct sl_token *find_token(struct sl_token_cache *cache, const char *key)
{
    struct sl_token *token = cache->tokens;
    while (token && strcmp(token->key, key) != 0)
        token = token->next;
    return token;
}

void sl_token_cache_done(struct sl_token_cache *cache)
{
    struct sl_error err;
    int r = sl_cancel_error(&err);
    for (struct sl_token *token = cache->tokens; token; token = token->next)
        if (token->is_fetching)
            sl_fetch_abort(&token->fetch, r, &err);
    prune(cache);
    while (cache->tokens) {
        struct sl_token *token = cache->tokens;
        cache->tokens = token->next;
        token_free(token);
    }
}

/* --- fetching one --- */

static int token_prepare(struct sl_fetch *f, struct sl_error *err)
{
    struct sl_token *token = TOKEN_OF(f);
    sl_bytes_wipe(&token->answer);
    token->answer = (struct sl_bytes){0};
    token->asked_at = now_s();
    sl_secret_free(f->authorization);
    f->authorization = NULL;
    if (f->method || !token->basic)
        return 0;
    f->authorization = strdup(token->basic);
    return f->authorization ? 0 : sl_error_oom(err);
}

/* Servers without OAuth2 do not know the POST. */
static int token_refused(struct sl_fetch *f, struct sl_error *err)
{
    (void)err;
    if (!f->method || (f->response.status != 404 && f->response.status != 405))
        return SL_FETCH_DEFAULT;
    f->method = f->content_type = NULL;
    f->must_not_move = false;
    f->url = TOKEN_OF(f)->url;
    return SL_FETCH_AGAIN;
}

static int token_body(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err)
{
    return sl_bytes_append(&TOKEN_OF(f)->answer, bytes, ANSWER_MAX, err);
}

static int take_answer(struct sl_token *token, struct sl_error *err)
{
    char *value = NULL;
    unsigned seconds = 0;
    int r = sl_token_answer_parse(sl_bytes_span(&token->answer), &value, &seconds, err);
    if (r < 0)
        return r;
    forget_value(token);
    token->value = value;
    token->good_until =
        token->asked_at + (time_t)seconds - (time_t)token->cache->settings->token_spare_s;
    return 0;
}

static void token_done(struct sl_fetch *f, int r, const struct sl_error *err)
{
    struct sl_token *token = TOKEN_OF(f);
    struct sl_error why = *err;
    if (r == 0)
        r = take_answer(token, &why);
    if (r < 0) {
        SL_AUTO_FREE char *origin = sl_url_origin(token->url);
        r = sl_error_wrap(&why, r, "token from %s", origin ? origin : "?");
    }
    forget_request(token);
    token->is_fetching = false;
    struct sl_token_waiter *waiters = token->waiters;
    token->waiters = NULL;
    /* The list is walked while its members leave, start anew, or vanish. */
    for (struct sl_token_waiter *w = waiters; w; w = w->next)
        w->token = NULL;
    while (waiters) {
        struct sl_token_waiter *w = waiters;
        waiters = w->next;
        w->was_served = r == 0;
        w->ready(w, r, &why);
    }
}

static const struct sl_fetch_ops token_ops = {
    .prepare = token_prepare,
    .refused = token_refused,
    .body = token_body,
    .done = token_done,
};

static bool has_password(const struct sl_credentials *c)
{
    return c->username && c->password;
}

static int check_realm(const struct sl_registry_auth *auth, const char *realm, struct sl_error *err)
{
    if (!realm)
        return sl_error_set(err, SL_E_AUTH, EPROTO,
                            "the registry names a token server whose URL "
                            "makes no sense");
    if (!sl_url_is_https(realm) && !auth->peer->insecure && sl_url_is_https(auth->peer->origin))
        return sl_error_set(err, SL_E_AUTH, EPROTO,
                            "the registry names a token server without TLS: refused");
    return 0;
}

static int compose_request(struct sl_token *token, const struct sl_registry_auth *auth,
                           const char *scope, struct sl_error *err)
{
    const struct sl_credentials *c = &auth->credentials;
    const char *service = auth->challenge.service;
    SL_AUTO_FREE char *realm = sl_url_resolve(auth->peer->origin, auth->challenge.realm);
    int r = check_realm(auth, realm, err);
    if (r < 0)
        return r;
    token->realm = sl_steal(&realm);
    token->url = sl_token_url(token->realm, service, scope, has_password(c) ? c->username : NULL);
    if (has_password(c))
        token->basic = sl_basic_value(c);
    if (c->identity_token)
        token->form = sl_token_form(service, scope, c->identity_token);
    if (!token->url || (has_password(c) && !token->basic) || (c->identity_token && !token->form))
        return sl_error_oom(err);
    return 0;
}

static int start_fetch(struct sl_token *token, const struct sl_registry_auth *auth,
                       const char *scope, struct sl_error *err)
{
    int r = compose_request(token, auth, scope, err);
    if (r < 0) {
        forget_request(token);
        return r;
    }
    token->is_fetching = true;
    token->fetch = (struct sl_fetch){
        .ops = &token_ops,
        .loop = token->cache->loop,
        .settings = token->cache->settings,
        .peer = auth->peer,
        .url = token->form ? token->realm : token->url,
        .accept = "application/json",
        .within_ms = token->cache->settings->document_timeout_ms,
    };
    if (token->form) {
        token->fetch.method = "POST";
        token->fetch.content_type = "application/x-www-form-urlencoded";
        token->fetch.send_bytes = sl_span_of(token->form);
        token->fetch.must_not_move = true;
    }
    sl_fetch_start(&token->fetch);
    return 0;
}

/* --- what others call --- */

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static int need_token(struct sl_registry_auth *auth, const char *scope, struct sl_token **ret,
                      struct sl_error *err)
{
    const struct sl_auth_challenge *c = &auth->challenge;
    SL_AUTO_FREE char *key =
        sl_strf("%s\n%s\n%s\n%s%s", c->realm, or_empty(c->service), scope,
                auth->credentials.identity_token ? "\n" : "", or_empty(auth->credentials.username));
    if (!key)
        return sl_error_oom(err);
    *ret = find_token(auth->cache, key);
    if (*ret)
        return 0;
    prune(auth->cache);
    struct sl_token *token = calloc(1, sizeof(*token));
    if (!token)
        return sl_error_oom(err);
    token->cache = auth->cache;
    token->key = sl_steal(&key);
    token->next = auth->cache->tokens;
    auth->cache->tokens = token;
    *ret = token;
    return 0;
}

/* What a challenge asks for, unless that is less than will be needed: "repository:a:pull" of one
 * who is going to push to a. */
static const char *scope_of(const struct sl_registry_auth *auth)
{
    const char *asked = auth->challenge.scope;
    size_t len = asked ? strlen(asked) : 0;
    bool is_part = !strncmp(auth->scope, asked ? asked : "", len) &&
                   (!len || auth->scope[len] == ',' || !auth->scope[len]);
    return is_part ? auth->scope : asked;
}

static int bearer_from_realm(struct sl_registry_auth *auth, struct sl_token_waiter *waiter,
                             char **ret, struct sl_error *err)
{
    const char *scope = scope_of(auth);
    struct sl_token *token = NULL;
    int r = need_token(auth, scope, &token, err);
    if (r < 0)
        return r;
    if (is_good(token) || (waiter->was_served && token->value)) {
        char *value = strdup(token->value);
        if (!value)
            return sl_error_oom(err);
        *ret = value;
        return 0;
    }
    /* In the list first: a fetch may end before its start returns. */
    waiter->token = token;
    waiter->next = token->waiters;
    token->waiters = waiter;
    r = token->is_fetching ? 0 : start_fetch(token, auth, scope, err);
    if (r < 0)
        sl_token_waiter_leave(waiter);
    return r < 0 ? r : -EAGAIN;
}

int sl_registry_auth_value(struct sl_registry_auth *auth, struct sl_token_waiter *waiter,
                           char **ret, struct sl_error *err)
{
    if (auth->credentials.registry_token)
        return sl_bearer_value(auth->credentials.registry_token, ret, err);
    switch (auth->challenge.scheme) {
    case SL_AUTH_BEARER:
        return bearer_from_realm(auth, waiter, ret, err);
    case SL_AUTH_BASIC: {
        char *value = sl_basic_value(&auth->credentials);
        if (!value)
            return sl_error_oom(err);
        *ret = value;
        return 0;
    }
    default:
        *ret = NULL;
        return 0;
    }
}

void sl_token_waiter_leave(struct sl_token_waiter *waiter)
{
    if (!waiter->token)
        return;
    struct sl_token_waiter **p = &waiter->token->waiters;
    while (*p != waiter)
        p = &(*p)->next;
    struct sl_token *token = waiter->token;
    *p = waiter->next;
    waiter->token = NULL;
    if (token->waiters || !token->is_fetching)
        return;
    struct sl_error err; /* nobody hears of it */
    int r = sl_cancel_error(&err);
    sl_fetch_abort(&token->fetch, r, &err);
}

static void forget_refused(struct sl_token_cache *cache, const char *value)
{
    for (struct sl_token *token = cache->tokens; token && value; token = token->next)
        if (token->value && !strcmp(token->value, value))
            forget_value(token);
}

int sl_registry_auth_refused(struct sl_registry_auth *auth, struct sl_span challenges,
                             const char *value, struct sl_error *err)
{
    forget_refused(auth->cache, value);
    SL_AUTO_DONE(sl_auth_challenge) c = {0};
    int r = sl_auth_challenge_parse(challenges, &c, err);
    if (r < 0)
        return r;
    if (c.scheme == SL_AUTH_NONE)
        return sl_error_set(err, SL_E_AUTH, EACCES,
                            "Not authorized, and the registry does not say what it wants to see");
    if (c.scheme == SL_AUTH_BASIC && !has_password(&auth->credentials))
        return sl_error_set(err, SL_E_AUTH, EACCES,
                            "Not authorized: the registry wants a user name and a password; give "
                            "them with --creds or --authfile");
    sl_auth_challenge_done(&auth->challenge);
    auth->challenge = c;
    c = (struct sl_auth_challenge){0};
    return 0;
}

bool sl_auth_wants_scope(struct sl_span challenges)
{
    SL_AUTO_DONE(sl_auth_challenge) c = {0};
    return sl_auth_challenge_parse(challenges, &c, NULL) == 0 && c.scheme == SL_AUTH_BEARER &&
           c.error && !strcmp(c.error, "insufficient_scope");
}

void sl_registry_auth_done(struct sl_registry_auth *auth)
{
    sl_credentials_done(&auth->credentials);
    free(auth->scope);
    sl_auth_challenge_done(&auth->challenge);
    auth->scope = NULL;
}
