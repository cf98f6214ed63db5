/* SPDX-License-Identifier: Apache-2.0 */
/* refs/: names of images. */
#pragma once

#include "store_dir.h"

#include <limits.h>

/* The path of a name: refs/ and the name with all but unreserved bytes as %XX, or, when that is
 * too long for a file name, refs/%long-<sha256 of the name>. -EINVAL for an empty name. */
SL_MUST_CHECK int sl_ref_path(const char *name, char out[NAME_MAX + 1], struct sl_error *err);
/* 1 and the manifest when the name is known, 0 when not. */
SL_MUST_CHECK int sl_ref_find(const struct sl_store *store, const char *name, struct sl_digest *ret,
                              struct sl_error *err);

/* Every name, until fn returns other than 0. path is that of the file. */
typedef int (*sl_ref_fn)(void *arg, const char *path, const char *name,
                         const struct sl_digest *manifest, struct sl_error *err);
SL_MUST_CHECK int sl_ref_each(const struct sl_store *store, sl_ref_fn fn, void *arg,
                              struct sl_error *err);
