/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fetch: one document or blob, tried until it is here or must be given up. It owns redirects,
 * retries with their pauses, timeouts and cancellation; who may see what (authorization), where
 * to go on (ranges) and what the bytes are for is its user's, through struct sl_fetch_ops.
 *
 * A request that changes something is a fetch too, whose document is the answer. What it sends is
 * either bytes that lie ready, and can be sent again at the next try, or comes from a hook and is
 * gone once sent: then there is one try only, and no redirect.
 *
 * HTTP/2 is offered for documents. Blobs ask for HTTP/1.1: over HTTP/2 all layers would share one
 * TCP connection and its window, and some registries reset long streams. A small one is here before
 * that matters, and before a connection of its own would be.
 *
 * Everything here happens on the loop thread.
 */
#pragma once

#include "http_loop.h"
#include "http_response.h"
#include "range_plan.h"
#include "retry.h"

#include <sys/types.h>

/* TLS settings of one registry. Also for the hosts it redirects to, except the client's
 * certificate, which only the origin sees. */
struct sl_http_peer {
    char *origin;                   /* "https://host:port" */
    bool insecure;                  /* certificates are not verified */
    struct sl_bytes roots;          /* PEM of all trusted roots; empty: the platform's */
    char *client_cert, *client_key; /* paths; NULL: none */
    unsigned *blob_requests;        /* under way, of all images; loop thread */
};

/* Shared by all fetches of a registry; borrowed. */
struct sl_http_settings {
    char *user_agent;
    /* Instead of the environment's: unless one of the first two is set, all are NULL. May hold
     * passwords. */
    char *https_proxy, *http_proxy, *no_proxy;
    unsigned max_attempts;
    unsigned retry_base_ms;
    unsigned connect_timeout_ms;
    unsigned stall_timeout_s; /* no byte for so long, also before the first one; 0: for ever */
    /* Of what is small, a manifest, a config or a token: all tries and pauses together. */
    unsigned document_timeout_ms;
    /* What has no such limit must bring so many bytes in each window of this length. */
    unsigned pace_window_ms, pace_bytes;
    unsigned file_timeout_ms; /* of sl_registry_get_url(), whatever moves */
    unsigned token_spare_s;   /* a token is not used in its last seconds */
    /* See range_plan.h. Tests make blobs and ranges smaller, and the way longer. */
    struct sl_range_limits ranges;
};

struct sl_fetch;

enum sl_fetch_verdict {
    SL_FETCH_DEFAULT,  /* the common rules decide */
    SL_FETCH_AGAIN,    /* try again at once: what was wrong has been changed */
    SL_FETCH_COMPLETE, /* there is nothing more to fetch */
};

/* Hooks may be NULL except done. r < 0 fails the fetch for good, with err set. */
struct sl_fetch_ops {
    /* Before each try: sets authorization and range. -EAGAIN: not yet, sl_fetch_continue() will
     * be called. */
    int (*prepare)(struct sl_fetch *f, struct sl_error *err);
    /* An answer other than 2xx or a redirect: an enum sl_fetch_verdict, or failure. */
    int (*refused)(struct sl_fetch *f, struct sl_error *err);
    /* A 2xx answer: its head. */
    int (*begin)(struct sl_fetch *f, struct sl_error *err);
    /* Bytes of a 2xx answer: all of them, or -EAGAIN for none: the transfer pauses until
     * sl_fetch_unpause(). Called from within libcurl. */
    int (*body)(struct sl_fetch *f, struct sl_span bytes, struct sl_error *err);
    /* A 2xx answer has ended as HTTP sees it. Failure here is worth another try. */
    int (*end)(struct sl_fetch *f, struct sl_error *err);
    /* With send_size: copies at most room bytes, more than none, to "to" and answers how many; or
     * -EAGAIN: the transfer pauses until sl_fetch_unpause(). Called from within libcurl. */
    ssize_t (*send)(struct sl_fetch *f, uint8_t *to, size_t room, struct sl_error *err);
    /* The end, once. The fetch may be freed by it. */
    void (*done)(struct sl_fetch *f, int r, const struct sl_error *err);
};

enum sl_fetch_state {
    SL_FETCH_IDLE,
    SL_FETCH_PREPARING, /* waits for sl_fetch_continue() */
    SL_FETCH_RUNNING,   /* libcurl has it */
    SL_FETCH_WAITING,   /* for the timer, before another try */
    SL_FETCH_OVER,
};

struct sl_fetch {
    /* Set by the user; strings are borrowed until done(). */
    const struct sl_fetch_ops *ops;
    struct sl_http_loop *loop;
    const struct sl_http_settings *settings;
    const struct sl_http_peer *peer;
    struct sl_http_group *group; /* to be cancelled with; NULL: none */
    const char *url;
    const char *accept;    /* NULL: anything */
    const char *method;    /* NULL: GET */
    bool is_blob;          /* HTTP/1.1, unless: */
    bool is_small;         /* it comes beside documents, over HTTP/2 where that is spoken */
    bool is_tidying;       /* takes back what is left over: quickly, once, cancelled or not */
    unsigned max_attempts; /* 0: as in settings */
    unsigned within_ms;    /* all tries and pauses together; 0: as long as something moves */

    /* What is sent. content_type NULL: nothing. */
    const char *content_type;
    struct sl_span send_bytes;
    uint64_t send_size; /* not 0: so many bytes of the send() hook */
    bool must_not_move; /* not to be sent where a redirect leads: it is a secret */
    bool must_stay;     /* redirects may only lead to the same scheme, host and port */

    /* Set by prepare(): wiped with the fetch. */
    bool has_range;
    char *authorization; /* value of the header; not sent to another origin */
    uint64_t range_start;
    uint64_t range_end; /* behind the last byte; 0: to the end */

    /* body() adds what brought the fetch nearer to its end: enough of it, and the count of
     * failures starts anew. */
    uint64_t progress;

    /* For the hooks to read. */
    struct sl_http_response response;
    struct sl_bytes error_body; /* of an answer other than 2xx; cut at a limit */

    /* Its own. */
    enum sl_fetch_state state;
    struct sl_http_transfer transfer;
    struct sl_http_timer timer; /* before another try; for send(), until it has stalled */
    struct sl_http_timer end;   /* for within_ms */
    struct sl_http_timer pace;  /* of a blob that is not paused: the end of this window */
    uint64_t moved;             /* bytes of this window */
    uint64_t sent;              /* bytes send() has given */
    struct sl_http_watch watch;
    struct sl_retry retry;
    void *headers; /* struct curl_slist */
    char *hop_url;
    unsigned hops, rounds;
    bool is_paused; /* by body() */
    bool may_authorize;
    bool has_begun;        /* begin() was called for this answer */
    bool is_cut;           /* we stopped reading an error body */
    bool is_plain;         /* a TLS greeting was answered in plain text; stays behind the end */
    int stop_r;            /* a hook failed within libcurl */
    struct sl_error error; /* of stop_r, and of the last try */
    char *curl_error;
};

/* GET and HEAD, which change nothing. */
bool sl_fetch_is_reading(const struct sl_fetch *f);
/* After how many seconds of silence the server is given up. */
unsigned sl_fetch_patience_s(const struct sl_fetch *f);
/* Everything else must be set or zero. done() may be called before this returns. */
void sl_fetch_start(struct sl_fetch *f);
/* After prepare() said -EAGAIN: prepare() is called again, or with r < 0 the fetch fails. */
void sl_fetch_continue(struct sl_fetch *f, int r, const struct sl_error *err);
void sl_fetch_unpause(struct sl_fetch *f);
/* For http_easy.c: bytes have moved (false: and shall not, until it is unpaused). */
void sl_fetch_note_sending(struct sl_fetch *f, bool is_moving);
/* Likewise: body() has no room. */
void sl_fetch_note_paused(struct sl_fetch *f);
/* Ends it now with r < 0 unless it is over. Not from within body(). */
void sl_fetch_abort(struct sl_fetch *f, int r, const struct sl_error *err);
