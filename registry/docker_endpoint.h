/* SPDX-License-Identifier: Apache-2.0 */
/* One place an image may come from: a repository at a registry or mirror, with the credentials
 * and TLS settings of that place. */
#pragma once

#include "registry.h"

struct sl_docker_endpoint {
    struct sl_registry *registry;
    const struct sl_endpoint *plan;  /* borrowed from the plan */
    const struct sl_http_peer *peer; /* NULL: not opened yet */
    struct sl_registry_auth auth;    /* loop thread once opened */
    bool has_scheme;                 /* peer->origin is what the server speaks */
};

/* Looks up credentials and certificates; contacts nobody. Harmless when open already. */
SL_MUST_CHECK int sl_docker_endpoint_open(struct sl_docker_endpoint *ep, struct sl_error *err);
void sl_docker_endpoint_done(struct sl_docker_endpoint *ep);
/* For an insecure place, finds out whether it speaks HTTPS; blocks. Elsewhere nothing to do. */
SL_MUST_CHECK int sl_docker_endpoint_probe(struct sl_docker_endpoint *ep, struct sl_error *err);
/* "ORIGIN/v2/REPOSITORY/KIND/ID": kind is "manifests" or "blobs". NULL when out of memory. */
char *sl_docker_endpoint_url(const struct sl_docker_endpoint *ep, const char *kind, const char *id);

/* A document, whole, from a control thread. Blocks. */
struct sl_docker_document {
    const char *url, *accept;
    size_t limit;
    bool has_size; /* size bytes, neither more nor less */
    uint64_t size;
    struct sl_bytes bytes;               /* results: */
    char *content_type, *content_digest; /* NULL when absent */
};
void sl_docker_document_done(struct sl_docker_document *doc);
SL_DEFINE_AUTO_DONE(sl_docker_document, sl_docker_document_done)
SL_MUST_CHECK int sl_docker_endpoint_get(struct sl_docker_endpoint *ep,
                                         struct sl_docker_document *doc, struct sl_error *err);
