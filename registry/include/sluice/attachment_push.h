/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts signatures beside an image: into its repository, or its layout. The sink is that of the
 * image; the tag it was opened for is not touched. What a manifest names goes first, by
 * sl_image_sink_put_blob(). Everything blocks; one thread at a time.
 */
#pragma once

#include "sluice/image_sink.h"

/* What is there under a tag of the repository, for those who add to it: cosign keeps all signatures
 * of an image under sha256-HEX.sig. 1: *ret, hashed but otherwise as it came; 0: nothing. */
SL_MUST_CHECK int sl_image_sink_find_tag(struct sl_image_sink *sink, const char *tag,
                                         struct sl_image_document *ret, struct sl_error *err);
/* Under that tag, in place of whatever is there. A registry has no way to do so only if nobody else
 * has done it since: of two who add at once, one may be lost. */
SL_MUST_CHECK int sl_image_sink_put_tagged(struct sl_image_sink *sink, const char *tag,
                                           struct sl_span bytes, const char *media_type,
                                           const struct sl_digest *digest, struct sl_error *err);
/* An OCI image manifest with a subject, by digest, so that it is among the subject's referrers. For
 * registries that keep no such list it is added to the index under the tag sha256-HEX
 * (distribution-spec 1.1, "Pushing Manifests with Subject"), for layouts to index.json. A manifest
 * without a subject: SL_E_FORMAT. */
SL_MUST_CHECK int sl_image_sink_put_referrer(struct sl_image_sink *sink, struct sl_span bytes,
                                             const struct sl_digest *digest, struct sl_error *err);
