/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sluice/core/digest.h"
#include "sluice/core/json.h"

/* What a builder says of an image, listed in an index as an image that no machine can run (buildkit
 * attestations). */
bool sl_index_entry_is_attestation(const struct sl_json *entry);
/* Which manifest an entry is about. *ret_text is borrowed from the entry: for messages. */
SL_MUST_CHECK int sl_index_entry_digest(const struct sl_json *entry, struct sl_digest *ret,
                                        const char **ret_text, struct sl_error *err);
