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

/* The same one by one, without memory, so that it cannot fail. */
struct sl_image_scopes_walk {
    struct sl_span head,
        tail; /* of the current scope, whose text is both; borrowed from the name */
    /* private: */
    const char *name;
    size_t repository_len, parent_len;
    const char *domain; /* NULL: a layout */
    int step;
};
void sl_image_scopes_begin(struct sl_image_scopes_walk *walk, const char *name);
/* False when there is none any more. The first call moves to the first. */
bool sl_image_scopes_next(struct sl_image_scopes_walk *walk);
/* Whether the current scope has this text. Hosts are equal in either case: writing one otherwise
 * leads to the same registry, and must not lead out of its scope. */
bool sl_image_scopes_is_at(const struct sl_image_scopes_walk *walk, const char *text);

/* Whether two scopes of registries are one: equal but for the case of the host. */
bool sl_scope_is_same(const char *a, const char *b);
/* Absolute, and not written in two ways: no empty, "." or ".." segment, no '/' at the end, not "/".
 * Scopes of directories are. */
bool sl_scope_is_clean_path(struct sl_span path);
/* The directory of "oci:/dir[:tag]" or "oci:/dir@digest". */
struct sl_span sl_image_layout_dir(const char *name);
