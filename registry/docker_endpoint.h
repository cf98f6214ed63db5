/* SPDX-License-Identifier: Apache-2.0 */
/* One place an image may come from: a repository at a registry or mirror, with the credentials
 * and TLS settings of that place. */
#pragma once

#include "registry.h"

#include <stdatomic.h>

struct sl_docker_opener;

struct sl_docker_endpoint {
    struct sl_registry *registry;
    const struct sl_endpoint *plan;  /* borrowed from the plan */
    struct sl_http_group *group;     /* of its user; NULL: none */
    const char *actions;             /* what tokens must allow; "pull" after init */
    struct sl_docker_opener *opener; /* docker_opener.c's; loop thread */

    pthread_mutex_t lock; /* held while it is being opened; never taken on the loop thread */
    atomic_bool is_ready; /* set once; what follows no longer changes then: */
    const struct sl_http_peer *peer;
    struct sl_registry_auth auth; /* loop thread once ready */

    /* What round trips to it take; 0: unknown. Of documents first, then of blobs, which may lie
     * elsewhere. */
    atomic_uint rtt_us;

    struct sl_fetch *ping; /* under way; loop thread */
    bool is_closing;       /* nothing more may be sent; loop thread */
};

void sl_docker_endpoint_init(struct sl_docker_endpoint *ep, struct sl_registry *registry,
                             const struct sl_endpoint *plan);
/* Ends a ping in flight, and any later one at once. */
void sl_docker_endpoint_abort(struct sl_docker_endpoint *ep);
/* Nobody may be opening it any more. */
void sl_docker_endpoint_done(struct sl_docker_endpoint *ep);

static inline void sl_docker_endpoint_note_rtt(struct sl_docker_endpoint *ep,
                                               const struct sl_http_transfer *transfer)
{
    if (transfer->rtt_us)
        atomic_store(&ep->rtt_us, transfer->rtt_us);
}

/* Looks up credentials and certificates; for an insecure place also finds out whether it speaks
 * HTTPS. Blocks: not on the loop thread. Nothing to do when it is ready already; may be repeated
 * after a failure. */
SL_MUST_CHECK int sl_docker_endpoint_open(struct sl_docker_endpoint *ep, struct sl_error *err);
static inline bool sl_docker_endpoint_is_ready(const struct sl_docker_endpoint *ep)
{
    return atomic_load_explicit(&ep->is_ready, memory_order_acquire);
}
/* "ORIGIN/v2/REPOSITORY/KIND/ID": kind is "manifests" or "blobs". NULL when out of memory. The
 * endpoint is ready. */
char *sl_docker_endpoint_url(const struct sl_docker_endpoint *ep, const char *kind, const char *id);

/* A document, whole, or the answer to another small request, from a control thread. Blocks. The
 * endpoint is ready. */
struct sl_docker_document {
    const char *url, *accept;
    const char *method;       /* NULL: GET; for others the answer's body is not kept */
    const char *request_type; /* Content-Type of request; NULL: nothing is sent */
    struct sl_span request;
    size_t limit;
    bool has_size; /* size bytes, neither more nor less */
    uint64_t size;
    bool is_page;                        /* of a list: next is wanted */
    bool is_apart;                       /* not about the repository: see docker_endpoint.c */
    struct sl_bytes bytes;               /* results: */
    char *content_type, *content_digest; /* NULL when absent */
    long status;                         /* 2xx */
    char *location;                      /* made absolute; NULL when absent or senseless */
    char *next;                          /* of Link: likewise, but senseless is an error */
    char *subject;                       /* OCI-Subject; NULL when absent */
    bool offers_signatures;              /* X-Registry-Supports-Signatures */
    long refused; /* on failure: the status that was the reason; 0: there was another */
};
void sl_docker_document_done(struct sl_docker_document *doc);
SL_DEFINE_AUTO_DONE(sl_docker_document, sl_docker_document_done)
SL_MUST_CHECK int sl_docker_endpoint_ask(struct sl_docker_endpoint *ep,
                                         struct sl_docker_document *doc, struct sl_error *err);
