/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GET of a registry's URL: a fetch that shows what the registry wants to see, again when it
 * changes its mind, and goes on where a cut connection left off. Loop thread.
 */
#pragma once

#include "auth_token.h"
#include "http_fetch.h"

struct sl_registry_get;

struct sl_registry_get_ops {
    /* A good answer begins: its head is in fetch.response. May be NULL. */
    int (*head)(struct sl_registry_get *get, struct sl_error *err);
    /* Takes all of bytes, or none with -EAGAIN: see struct sl_fetch_ops. */
    int (*body)(struct sl_registry_get *get, struct sl_span bytes, struct sl_error *err);
    /* The document comes from its first byte again (never when has_size). */
    void (*restart)(struct sl_registry_get *get);
    /* The end, once; it may be started again or freed. */
    void (*done)(struct sl_registry_get *get, int r, const struct sl_error *err);
};

struct sl_registry_get {
    struct sl_fetch fetch; /* loop, settings, peer, url, accept, is_blob: set by the user */
    const struct sl_registry_get_ops *ops;
    struct sl_registry_auth *auth;
    bool has_size; /* size is known: it is enforced, and a cut transfer is resumed */
    uint64_t size;
    uint64_t got; /* bytes passed on so far; kept when started again at another place */

    /* Its own. */
    struct sl_token_waiter waiter;
    uint64_t skip;       /* bytes of this answer we have already */
    bool value_is_fresh; /* what we show was made for us: if refused, that is final */
    bool scope_redone;
};
void sl_registry_get_start(struct sl_registry_get *get);
