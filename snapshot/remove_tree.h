/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sluice/core/error.h"

/* Removes name, a path below dirfd of directories that the caller trusts, whatever it is, with all
 * that is below it. Never follows a symlink, never leaves the mount that dirfd is on (-EXDEV),
 * copes with any depth and with directories of ours that nobody may enter. 0 also when there is
 * nothing of this name. Entries that others add meanwhile may make it fail with -ENOTEMPTY. Any
 * thread. */
SL_MUST_CHECK int sl_remove_tree(int dirfd, const char *name, struct sl_error *err);
