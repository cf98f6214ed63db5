/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sluice/signature_policy.h"

/* Everything a verdict says, {"name","transport","scope","allowed","policy","compat","manifest",
 * "index","requirements":[…],"demanded"}; the man page has the members. "scope" is null for the
 * default. *ret must be empty. */
SL_MUST_CHECK int sl_api_verdict_json(const struct sl_policy_verdict *verdict, struct sl_bytes *ret,
                                      struct sl_error *err);
