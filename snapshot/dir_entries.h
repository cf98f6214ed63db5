/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a directory without "." and "..". */
#pragma once

#include "sluice/core/error.h"

#include <dirent.h>

/* Takes fd in any case, also -1, which fails with the errno that made it so. NULL: errno tells.
 * The caller closes with closedir(); fd stays usable until then. */
DIR *sl_dir_open(int fd);

/* 1 with the next entry, which is valid until the next call; 0 at the end; or a negative errno. */
SL_MUST_CHECK int sl_dir_next(DIR *dir, const struct dirent **ret);
