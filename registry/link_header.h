/* SPDX-License-Identifier: Apache-2.0 */
/* The Link header (RFC 8288), as far as lists that come in pages use it. */
#pragma once

#include "sluice/core/bytes.h"

/* The URL of rel="next": lines are the header's values, each ended by a newline; base is the URL
 * they came from. *ret is NULL when there is none, else to be freed. SL_E_NETWORK when there is one
 * that cannot be followed: a list must not end early unnoticed. */
SL_MUST_CHECK int sl_link_next(struct sl_span lines, const char *base, char **ret,
                               struct sl_error *err);
