/* SPDX-License-Identifier: Apache-2.0 */
/* A registry's refusal in our words: its status, and what its error document says
 * (distribution-spec, "Error Codes"). */
#pragma once

#include "sluice/core/bytes.h"

/* Sets err for an HTTP status that is no success and returns its negative errno: 401 and 403 are
 * SL_E_AUTH, 404 is SL_E_NETWORK with ENOENT. body is hostile; at most a line of it is quoted. */
int sl_registry_error_set(long status, struct sl_span body, struct sl_error *err);
