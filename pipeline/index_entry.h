/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sluice/core/json.h"

/* What a builder says of an image, listed in an index as an image that no machine can run (buildkit
 * attestations). */
bool sl_index_entry_is_attestation(const struct sl_json *entry);
