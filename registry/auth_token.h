/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to put into Authorization (distribution: spec/auth/token.md, oauth.md): Basic, a ready
 * bearer token, or one fetched from the realm of a challenge and kept until it expires. Tokens
 * are shared by all images of a registry object and fetched once however many blobs wait.
 *
 * Everything here happens on the loop thread.
 */
#pragma once

#include "auth_challenge.h"
#include "auth_file.h"
#include "http_fetch.h"

struct sl_token;
struct sl_known_challenge;

struct sl_token_cache {
    struct sl_http_loop *loop;
    const struct sl_http_settings *settings;
    struct sl_token *tokens;
    struct sl_known_challenge *challenges; /* the newest first */
};
/* Aborts what is in flight, wipes all tokens. */
void sl_token_cache_done(struct sl_token_cache *cache);

/* The state of one repository at one registry. */
struct sl_registry_auth {
    struct sl_token_cache *cache;
    const struct sl_http_peer *peer;
    struct sl_credentials credentials;
    char *scope;                        /* when a challenge names none */
    struct sl_auth_challenge challenge; /* the last one seen */
    bool is_apart;      /* not about the repository: its challenges are nobody else's */
    bool is_remembered; /* the challenge is another image's, of the same repository */
};
void sl_registry_auth_done(struct sl_registry_auth *auth);

/* Embedded in whoever waits for a token. */
struct sl_token_waiter {
    void (*ready)(struct sl_token_waiter *waiter, int r, const struct sl_error *err);
    struct sl_token *token; /* NULL: not waiting */
    bool was_served;        /* the next value asked for has just been fetched */
    struct sl_token_waiter *next;
};
/* The value of Authorization for the next request: *ret is a secret to be wiped and freed by the
 * caller, or NULL before any challenge. -EAGAIN: ready() will be called; with r 0, ask again: a
 * token just fetched is given however short its life is. */
SL_MUST_CHECK int sl_registry_auth_value(struct sl_registry_auth *auth,
                                         struct sl_token_waiter *waiter, char **ret,
                                         struct sl_error *err);
/* The request for a token that nobody waits for any more is ended. */
void sl_token_waiter_leave(struct sl_token_waiter *waiter);

/* A request was refused with these WWW-Authenticate lines after showing value (NULL: nothing):
 * forgets that token, takes the new challenge. SL_E_AUTH when there is nothing we could do. */
SL_MUST_CHECK int sl_registry_auth_refused(struct sl_registry_auth *auth, struct sl_span challenges,
                                           const char *value, struct sl_error *err);
/* The challenges say error="insufficient_scope". */
bool sl_auth_wants_scope(struct sl_span challenges);
