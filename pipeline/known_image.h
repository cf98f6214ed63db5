/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents of an image that was pulled before: its config, and its manifest where an index or
 * something else that was asked for names it, are not fetched again. The outermost document always
 * is, also that of a digest: its registry decides each time who may have the image.
 */
#pragma once

#include "sluice/image_source.h"
#include "sluice/layer_store.h"

/* Used by the thread that pulls. */
struct sl_known_image {
    struct sl_store *store;
    struct sl_image_record *record; /* of the manifest that was asked for last, or NULL */
};
/* source asks known from now on, which must outlive it. */
void sl_known_image_offer(struct sl_known_image *known, struct sl_store *store,
                          struct sl_image_source *source);
/* Whose config is wanted next. A record that cannot be read is as good as none: what it should have
 * said is fetched. */
void sl_known_image_look_up(struct sl_known_image *known, const struct sl_digest *manifest);
void sl_known_image_done(struct sl_known_image *known);
