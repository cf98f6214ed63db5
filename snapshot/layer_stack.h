/* SPDX-License-Identifier: Apache-2.0 */
/* The layers of an image as overlayfs wants them. */
#pragma once

#include "store_records.h"

struct sl_stack_layer {
    struct sl_digest diff_id;
    struct sl_layer_notes notes; /* implicit is sorted */
};
struct sl_layer_stack {
    struct sl_stack_layer *layers; /* topmost first, none twice */
    size_t n;
};

/* From the layers of an image, bottom first. */
SL_MUST_CHECK int sl_layer_stack_load(const struct sl_store *store,
                                      const struct sl_digest *diff_ids, size_t n,
                                      struct sl_layer_stack *ret, struct sl_error *err);
void sl_layer_stack_done(struct sl_layer_stack *stack);
SL_DEFINE_AUTO_DONE(sl_layer_stack, sl_layer_stack_done)

bool sl_stack_layer_is_implicit(const struct sl_stack_layer *layer, const char *path);
/* The tree of a layer, opened for reading. */
SL_MUST_CHECK int sl_stack_layer_open(const struct sl_store *store,
                                      const struct sl_stack_layer *layer, int *ret,
                                      struct sl_error *err);
/* Has the directory the mark of overlayfs that hides what is below it? */
bool sl_is_opaque(int fd);
