/* SPDX-License-Identifier: Apache-2.0 */
/* What the environment says. The strings belong to it. */
#pragma once

/* NULL when it is unset or empty. */
const char *sl_environment_get(const char *name);
/* A directory: NULL unless it is an absolute path (XDG Base Directory Specification). */
const char *sl_environment_dir(const char *name);
