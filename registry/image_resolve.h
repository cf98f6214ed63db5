/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to digests: the walk from index to manifest to config, each verified before it is
 * read. */
#pragma once

#include "source_ops.h"

/* sl_image_source_find() for a transport. digest is what the caller asked for, or NULL for a tag;
 * known->find may be NULL. */
SL_MUST_CHECK int sl_image_find(struct sl_source *source, const struct sl_known_documents *known,
                                const struct sl_digest *digest, const struct sl_platform *platform,
                                struct sl_resolved_image **ret, struct sl_error *err);
/* sl_image_source_fetch_config() for a transport. */
SL_MUST_CHECK int sl_image_fetch_config(struct sl_source *source,
                                        const struct sl_known_documents *known,
                                        struct sl_resolved_image *image, struct sl_error *err);

/* sl_image_source_document() for a transport. *ret must be zero. */
SL_MUST_CHECK int sl_image_fetch_document(struct sl_source *source, const struct sl_digest *digest,
                                          struct sl_image_document *ret, struct sl_error *err);
/* The second half of it: what a transport has fetched is held against the digest that was asked for
 * (or NULL) and the one that was promised, and opened. The bytes are taken. *ret must be zero. */
SL_MUST_CHECK int sl_image_check_document(struct sl_source_document *fetched,
                                          const struct sl_digest *digest,
                                          struct sl_image_document *ret, struct sl_error *err);
