/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a verdict with an image, for audits. */
#pragma once

#include "sluice/signature_policy.h"

/* {"name","policy","transport","scope","compat","evidence":[{"requirement","type","where","key",
 * "signedName","binding","signedAt"}]}, one piece of evidence for each requirement that a signature
 * satisfied; "scope" is null for the default. {"insecure":true} for no verdict. *ret must be empty.
 */
SL_MUST_CHECK int sl_verdict_record_format(const struct sl_policy_verdict *verdict,
                                           struct sl_bytes *ret, struct sl_error *err);
