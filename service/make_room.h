/* SPDX-License-Identifier: Apache-2.0 */
/* What a service does about a full store before it says so. */
#pragma once

#include "image_claims.h"
#include "sluice.h"

#include <stdint.h>

/* Removes what nothing refers to, then images that no mount uses and nobody claims, oldest pulled
 * first: at least one if there was no rubbish, and more until `wanted` bytes are free. Each is
 * logged. False when nothing was gained, or when not even the `needed` bytes would fit into an
 * empty store. Blocks; any thread. */
bool sl_make_room(struct sluice *sluice, struct sl_image_claims *claims, uint64_t needed,
                  uint64_t wanted);
