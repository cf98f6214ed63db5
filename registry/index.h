/* SPDX-License-Identifier: Apache-2.0 */
/* Image indexes (image-spec image-index.md) and docker manifest lists, and the choice of the entry
 * that runs on a platform. The index.json of a layout is one too. */
#pragma once

#include "image_document.h"

struct sl_index_entry {
    struct sl_descriptor descriptor;
    bool has_platform;
    struct sl_platform platform; /* as in the document; members may be NULL */
};

struct sl_index {
    struct sl_index_entry *entries; /* in document order */
    size_t n_entries;
};

SL_MUST_CHECK int sl_index_from_document(const struct sl_document *doc, struct sl_index **ret,
                                         struct sl_error *err);
/* The same from text. media_type as for sl_document_open(). */
SL_MUST_CHECK int sl_index_parse(struct sl_span json, const char *media_type, struct sl_index **ret,
                                 struct sl_error *err);
struct sl_index *sl_index_free(struct sl_index *index);
SL_DEFINE_AUTO(sl_index, sl_index_free)

/* The entry for a platform, borrowed: of those that can run there the most specific, and of equals
 * the first. Entries of unknown media type, attestations, and entries for an unknown platform are
 * passed over; one without a platform is taken only when there is no other. want: no member NULL
 * but variant. SL_E_UNSUPPORTED lists what the index offers. */
SL_MUST_CHECK int sl_index_select(const struct sl_index *index, const struct sl_platform *want,
                                  const struct sl_index_entry **ret, struct sl_error *err);
