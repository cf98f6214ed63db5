/* SPDX-License-Identifier: Apache-2.0 */
/* Which images run on which machine: Go's names for operating systems and processors, their
 * aliases, and the variants (image-spec image-index.md, "Platform Variants"). */
#pragma once

#include "sluice/manifest.h"

/* Go's name of an architecture: "aarch64" gives "arm64". Unknown names and NULL pass through.
 * Borrowed from name, or static. */
const char *sl_architecture_name(const char *name);

/* The platform of this machine, static. variant is NULL when the architecture's default will do. */
const struct sl_platform *sl_platform_of_machine(void);

/* How well an image for `image` runs on `want`: -1 not at all; otherwise more is better. */
int sl_platform_match(const struct sl_platform *image, const struct sl_platform *want);
