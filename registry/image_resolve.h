/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to digests: the walk from index to manifest to config, each verified before it is
 * read. */
#pragma once

#include "source_ops.h"

/* sl_image_source_resolve() for a transport. digest is what the caller asked for, or NULL for a
 * tag. */
SL_MUST_CHECK int sl_image_resolve(struct sl_source *source, const struct sl_digest *digest,
                                   const struct sl_platform *platform,
                                   struct sl_resolved_image **ret, struct sl_error *err);

/* sl_image_source_document() for a transport. *ret must be zero. */
SL_MUST_CHECK int sl_image_fetch_document(struct sl_source *source, const struct sl_digest *digest,
                                          struct sl_image_document *ret, struct sl_error *err);
