/* SPDX-License-Identifier: Apache-2.0 */
/* A manifest as a registry gives it: of the image, or of what lies beside it. */
#pragma once

#include "docker_endpoint.h"
#include "source_ops.h"

/* The Accept header for one. */
extern const char sl_docker_manifest_types[];
/* Fills *ret, which is empty, from an answer, whose bytes are taken. */
SL_MUST_CHECK int sl_docker_take_manifest(struct sl_docker_document *doc,
                                          struct sl_source_document *ret, struct sl_error *err);
/* The manifest under a tag or a digest. 1: found; 0: there is none (404). The endpoint is ready. */
SL_MUST_CHECK int sl_docker_find_manifest(struct sl_docker_endpoint *ep, const char *id,
                                          struct sl_source_document *ret, struct sl_error *err);
/* sl_docker_endpoint_ask(): 1, or 0 for what is not there (404). */
SL_MUST_CHECK int sl_docker_find(struct sl_docker_endpoint *ep, struct sl_docker_document *doc,
                                 struct sl_error *err);
/* Puts it under a tag or its digest. *ret_subject: what the answer says in OCI-Subject, to be
 * freed, or NULL; may be NULL. */
SL_MUST_CHECK int sl_docker_put_manifest(struct sl_docker_endpoint *ep, const char *id,
                                         struct sl_span bytes, const char *media_type,
                                         const struct sl_digest *digest, char **ret_subject,
                                         struct sl_error *err);
