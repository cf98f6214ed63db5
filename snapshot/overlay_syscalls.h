/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of an overlay mount, by the new API or by mount(2). */
#pragma once

#include "layer_stack.h"

struct sl_overlay {
    const struct sl_store *store;
    const struct sl_layer_stack *stack;
    const char *id; /* mounts/<id>/ has upper/, work/, and empty/ for an image without layers */
    int target;     /* an open directory */
    bool read_only;
    bool no_lowerdir_plus;
};
/* Mounts it. Any thread, whose working directory does not change. */
SL_MUST_CHECK int sl_overlay_mount(const struct sl_overlay *overlay, struct sl_error *err);
