/* SPDX-License-Identifier: Apache-2.0 */
/* The URLs of an upload (distribution-spec, "Push"): where it is begun, where the registry says
 * that it goes on, and where it ends. */
#pragma once

#include "docker_endpoint.h"

/* Where an upload begins. from: the repository at the same registry that has the blob, which is to
 * be mounted; or NULL. To be freed; NULL when out of memory. The endpoint is ready. */
char *sl_upload_url_begin(const struct sl_docker_endpoint *ep, const struct sl_digest *mount,
                          const char *from);
/* Where it goes on: the Location of an answer to asked. NULL and hostile values are errors, and so
 * is a way from https to http. *ret is to be freed. */
SL_MUST_CHECK int sl_upload_url_next(const char *asked, const char *location, char **ret,
                                     struct sl_error *err);
/* Where it ends: location, all of its query, and the digest. As sl_upload_url_begin(). */
char *sl_upload_url_end(const char *location, const struct sl_digest *digest);

/* SL_E_INTEGRITY when the registry, in Docker-Content-Digest, names another digest than ours. NULL
 * and forms that are not ours prove nothing. */
SL_MUST_CHECK int sl_upload_check_digest(const char *content_digest, const struct sl_digest *digest,
                                         struct sl_error *err);
