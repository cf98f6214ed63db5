/* SPDX-License-Identifier: Apache-2.0 */
/* The docker transport: what its control side and its streams share. */
#pragma once

#include "docker_endpoint.h"
#include "source_ops.h"

struct sl_docker_source {
    struct sl_source base;
    struct sl_registry *registry;
    struct sl_http_group group;    /* all its requests */
    char *host, *repository, *tag; /* of the reference; tag may be NULL */
    bool host_was_explicit;
    bool has_digest;
    struct sl_digest digest;
    struct sl_mirror_plan *plan;          /* NULL before the first fetch */
    struct sl_docker_endpoint *endpoints; /* one for each of the plan */
    size_t n_endpoints;
    bool has_one_name; /* all endpoints have the same logical name */
    /* The endpoint that gave the manifest; n_endpoints: none yet, which with one name may stay so
     * when it is known. */
    _Atomic size_t serving;
    pthread_mutex_t settling; /* held while one is found after all */
};

/* Whether endpoint i may stand in for one that has given something of the image: both serve the
 * same logical name. An image is never put together from those of several search registries. */
bool sl_docker_is_same_name(const struct sl_docker_source *src, size_t i, size_t other);
/* Finds the endpoint that serves the manifest, where that was known already. Blocks. Not on the
 * loop thread; any other, several at once. */
SL_MUST_CHECK int sl_docker_settle(struct sl_docker_source *src, struct sl_error *err);
int sl_docker_source_stream(struct sl_source *base, const struct sl_descriptor *blob,
                            struct sl_buf_lane *lane, struct sl_flow *flow,
                            struct sl_blob_stream **ret, struct sl_error *err);
/* docker_attachments.c */
extern const struct sl_attachment_ops sl_docker_attachment_ops;
/* Another place may do better: the network, the server's opinion of us, or something missing; but
 * not what is wrong with the bytes themselves, nor a rule of ours. */
bool sl_docker_may_fall_back(const struct sl_error *err);
