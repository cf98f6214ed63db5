/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request to a registry: a fetch that shows what the registry wants to see, again when it
 * changes its mind, and, for a blob of known size or a part of it, goes on where a cut connection
 * left off. Loop thread.
 */
#pragma once

#include "auth_token.h"
#include "http_fetch.h"

struct sl_registry_request;

struct sl_registry_request_ops {
    /* A good answer begins: its head is in fetch.response. May be NULL. */
    int (*head)(struct sl_registry_request *req, struct sl_error *err);
    /* Takes all of bytes, or none with -EAGAIN: see struct sl_fetch_ops. May be NULL: nobody reads
     * the answer. */
    int (*body)(struct sl_registry_request *req, struct sl_span bytes, struct sl_error *err);
    /* The document comes from its first byte again (never when has_size). */
    void (*restart)(struct sl_registry_request *req);
    /* See struct sl_fetch_ops. Needed with fetch.send_size. */
    ssize_t (*send)(struct sl_registry_request *req, uint8_t *to, size_t room,
                    struct sl_error *err);
    /* The end, once; it may be started again or freed. */
    void (*done)(struct sl_registry_request *req, int r, const struct sl_error *err);
};

struct sl_registry_request {
    struct sl_fetch fetch; /* What its user sets is the user's, but for ops and hooks. */
    const struct sl_registry_request_ops *ops;
    struct sl_registry_auth *auth;
    bool has_size; /* of a GET: size is known, is enforced, and a cut transfer is resumed */
    uint64_t size;
    uint64_t end; /* of the part that is wanted: behind its last byte; 0: size */
    uint64_t got; /* offset of what comes next: bytes passed on so far, for a part with those before
                   * it; kept when started again at another place */
    long refused; /* for done(): status of the last answer that was none of the good ones, or 0 */

    /* Its own. */
    struct sl_token_waiter waiter;
    uint64_t skip;       /* bytes of this answer we have already */
    bool value_is_fresh; /* what we show was made for us: if refused, that is final */
    bool scope_redone;
    bool is_elsewhere; /* the URL is another host's, who must not see our authorization */
};
void sl_registry_request_start(struct sl_registry_request *req);
