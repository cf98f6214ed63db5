/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registries.d (containers-registries.d(5)): where the simple signatures of an image lie, and
 * whether signatures attached in its registry are looked at.
 */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/resource.h"
#include "sluice/signature.h"

#define SL_REGISTRIES_D_PATH "/etc/containers/registries.d"
#define SL_LOOKASIDE_DEFAULT "file:///var/lib/containers/sigstore"

struct sl_registries_d;
/* name: a folder, whose *.yaml files are read in order, or one file or resource. NULL: the default
 * folder, which may be missing; one that was named must exist. compat_image_rs: the same section
 * twice is no error. */
SL_MUST_CHECK int sl_registries_d_open(const struct sl_resources *resources, const char *name,
                                       bool compat_image_rs, struct sl_registries_d **ret,
                                       struct sl_error *err);
/* One text of the same form; what names it in errors. */
SL_MUST_CHECK int sl_registries_d_parse(struct sl_span yaml, const char *what, bool compat_image_rs,
                                        struct sl_registries_d **ret, struct sl_error *err);
struct sl_registries_d *sl_registries_d_free(struct sl_registries_d *config);
SL_DEFINE_AUTO(sl_registries_d, sl_registries_d_free)

/* For the image of this canonical name ("host/repository:tag"). Borrowed from config, or static. */
struct sl_lookaside {
    const char *read_url;  /* never NULL */
    const char *write_url; /* never NULL */
    bool use_attachments;  /* true unless a section says false */
};
SL_MUST_CHECK int sl_registries_d_find(const struct sl_registries_d *config, const char *name,
                                       struct sl_lookaside *ret, struct sl_error *err);

/* "BASE/REPOSITORY@ALG=HEX/signature-N", to be freed; NULL when out of memory. repository has no
 * host. N from 1. */
char *sl_lookaside_url(const char *base, const char *repository, const struct sl_digest *manifest,
                       unsigned number);
/* 1 when read, 0 when there is no such file. url: file:///… Symbolic links below base are refused.
 */
SL_MUST_CHECK int sl_lookaside_read_file(const char *base, const char *url, struct sl_bytes *ret,
                                         struct sl_error *err);
/* Writes a new signature-N behind the last one of that manifest; file:/// only. *ret_url is to be
 * freed. */
SL_MUST_CHECK int sl_lookaside_write_file(const char *base, const char *repository,
                                          const struct sl_digest *manifest, struct sl_span message,
                                          char **ret_url, struct sl_error *err);

/* A signature as a lookaside holds it: tells by its first bytes what it is (simple signing, or
 * containers/image's own frame around either kind). Fills signature but for where. SL_E_FORMAT
 * otherwise. */
SL_MUST_CHECK int sl_signature_from_blob(struct sl_span blob, struct sl_signature *ret,
                                         struct sl_error *err);
/* What a registry with X-Registry-Supports-Signatures answers: adds the simple signatures, with
 * where in front of their names. */
SL_MUST_CHECK int sl_signatures_from_extension(struct sl_span json, const char *where,
                                               struct sl_signatures *ret, struct sl_error *err);
