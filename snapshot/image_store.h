/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store_dir.h"

/* 1 and the record, without a name, when the image is known; 0 when not. */
SL_MUST_CHECK int sl_image_load(const struct sl_store *store, const struct sl_digest *manifest,
                                struct sl_image_record **ret, struct sl_error *err);
