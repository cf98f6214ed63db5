/* SPDX-License-Identifier: Apache-2.0 */
#include "finding.h"
#include "sigstore_signing.h"

int sl_bundle_signature_verify(const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               const struct sl_signature *signature,
                               struct sl_signature_finding *finding)
{
    (void)requirement;
    (void)image;
    (void)signature;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}
