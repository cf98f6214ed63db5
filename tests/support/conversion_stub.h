/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of a conversion without a registry: an image source that is a list of texts, in the
 * place of the real one, and layers that are converted by saying so. */
#pragma once

#include "conversion.h"

enum { STUB_TEXTS_MAX = 16, STUB_FETCHES_MAX = 64 };

/* A digest whose first byte is N stands for text N; the image itself is text 0. */
struct sl_image_source {
    struct sl_span texts[STUB_TEXTS_MAX];
    size_t n_texts, n_fetched;
    struct sl_bytes config; /* instead of any text, unless empty */
};
void stub_source_done(struct sl_image_source *src);
/* A config with this many diff_ids. */
SL_MUST_CHECK int stub_source_set_config(struct sl_image_source *src, size_t n_layers,
                                         struct sl_error *err);

struct stub_conversion {
    struct conversion c;
    struct sl_convert_options options;
};
/* Fetches, plans, pretends that every layer became another one, and writes all documents anew. */
SL_MUST_CHECK int stub_conversion_run(struct stub_conversion *s, struct sl_image_source *src,
                                      bool encrypts, struct sl_error *err);
/* The second look at all manifests. */
SL_MUST_CHECK int stub_conversion_check(const struct stub_conversion *s, struct sl_error *err);
/* Accepts what failed. */
void stub_conversion_done(struct stub_conversion *s);
