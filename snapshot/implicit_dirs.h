/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories that a layer needed and did not describe. Overlayfs takes the attributes of a merged
 * directory from its topmost copy alone, so such a copy would override what a lower layer says.
 * The upper directory of the mount is seeded with the right ones. And with directories that hold
 * whiteouts and exist in one layer only: overlayfs does not look for whiteouts where it merges
 * nothing, and would list them.
 */
#pragma once

#include "layer_stack.h"

/* upper: an empty directory, to become the upper directory of the mount. */
SL_MUST_CHECK int sl_implicit_dirs_seed(const struct sl_store *store,
                                        const struct sl_layer_stack *stack, int upper,
                                        struct sl_error *err);
