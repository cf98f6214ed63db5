/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scopes an image belongs to, as containers-policy.json(5) counts them. Inside security/ only.
 */
#pragma once

#include "sluice/core/bytes.h"

/* name: canonical, "host/repository:tag", "host/repository[:tag]@digest" or "oci:/dir[:tag]".
 * *ret: NULL-terminated, most specific first, freed by sl_image_scopes_free(). docker: identity
 * (with a digest: without the tag), repository, its parents, host with port, "*.domain" from the
 * longest. oci: the directory, then those above it, but not "/". */
SL_MUST_CHECK int sl_image_scopes(const char *name, char ***ret, struct sl_error *err);
void sl_image_scopes_free(char **scopes);
/* "docker" or "oci". Static. */
const char *sl_image_transport(const char *name);
