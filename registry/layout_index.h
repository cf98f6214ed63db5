/* SPDX-License-Identifier: Apache-2.0 */
/* The index.json of a layout (image-spec image-layout.md), or any other index, as it is rewritten:
 * everything that is not the new entry stays as its author wrote it, byte for byte. */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/core/json.h"

struct sl_layout_entry {
    const char *media_type;
    struct sl_digest digest;
    uint64_t size;
    const char *tag;                   /* org.opencontainers.image.ref.name; NULL: none */
    const char *artifact_type;         /* NULL: none */
    const struct sl_json *annotations; /* of the manifest: strings, a tag is left out; or NULL */
};
/* old is the text so far, empty when there is none. The new entry takes the place of all that have
 * the same tag; without a tag, of those without one that have the same digest. *ret must be empty.
 * SL_E_FORMAT, SL_E_LIMIT for more than SL_MANIFEST_MAX bytes, before or after. */
SL_MUST_CHECK int sl_layout_index_put(struct sl_span old, const struct sl_layout_entry *entry,
                                      struct sl_bytes *ret, struct sl_error *err);
