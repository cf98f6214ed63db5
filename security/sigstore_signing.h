/* SPDX-License-Identifier: Apache-2.0 */
/* sigstoreSigned: the two forms of signature it reads. requirement->trust is open. Inside security/
 * only. */
#pragma once

#include "finding.h"
#include "policy_document.h"

/* cosign_signature.c: SL_SIGNATURE_COSIGN. */
SL_MUST_CHECK int sl_cosign_signature_verify(const struct sl_requirement *requirement,
                                             const struct sl_judged_image *image,
                                             const struct sl_signature *signature,
                                             struct sl_signature_finding *finding);
/* bundle_signature.c: SL_SIGNATURE_BUNDLE. */
SL_MUST_CHECK int sl_bundle_signature_verify(const struct sl_requirement *requirement,
                                             const struct sl_judged_image *image,
                                             const struct sl_signature *signature,
                                             struct sl_signature_finding *finding);
