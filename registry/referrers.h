/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of referrers (distribution-spec 1.1, "Listing Referrers"): image indexes whose descriptors
 * also say what kind of artifact they lead to. */
#pragma once

#include "image_document.h"
#include "sluice/attachments.h"

/* Appends what one page lists. Entries that cannot be read are passed over: anybody who may push
 * can add one, and must not hide the others. What is listed already is not listed again. More than
 * max in *list: SL_E_LIMIT. media_type as for sl_document_open(). */
SL_MUST_CHECK int sl_referrers_parse(struct sl_span json, const char *media_type, size_t max,
                                     struct sl_referrers *list, struct sl_error *err);
/* Appends one: it is taken, and is zero afterwards, also on failure. */
SL_MUST_CHECK int sl_referrers_add(struct sl_referrers *list, struct sl_referrer *referrer,
                                   size_t max, struct sl_error *err);
void sl_referrer_done(struct sl_referrer *referrer);
SL_DEFINE_AUTO_DONE(sl_referrer, sl_referrer_done)

/* The tag under which a registry without the referrers API keeps the list: "sha256-HEX". To be
 * freed; NULL when out of memory. */
char *sl_referrers_tag(const struct sl_digest *image);

/* artifact.c: an artifactType, "" when it is missing. To be freed. */
SL_MUST_CHECK int sl_artifact_type_parse(const struct sl_json *node, char **ret,
                                         struct sl_error *err);
