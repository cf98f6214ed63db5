/* SPDX-License-Identifier: Apache-2.0 */
#include "sigstore_trust.h"

int sl_rekor_proof_check(const struct sl_trusted_log *log, struct sl_span body,
                         const struct sl_inclusion_proof *proof, struct sl_error *err)
{
    (void)log;
    (void)body;
    (void)proof;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
