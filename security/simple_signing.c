/* SPDX-License-Identifier: Apache-2.0 */
#include "simple_signing.h"
#include "finding.h"

int sl_pgp_keyring_open(const struct sl_requirement *requirement, struct sl_pgp_keyring **ret,
                        struct sl_signature_finding *finding)
{
    (void)requirement;
    (void)ret;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}

struct sl_pgp_keyring *sl_pgp_keyring_free(struct sl_pgp_keyring *keyring)
{
    (void)keyring;
    return NULL;
}

int sl_simple_signature_verify(struct sl_pgp_keyring *keyring,
                               const struct sl_requirement *requirement,
                               const struct sl_judged_image *image,
                               const struct sl_signature *signature,
                               struct sl_signature_finding *finding)
{
    (void)keyring;
    (void)requirement;
    (void)image;
    (void)signature;
    return sl_finding_reject(finding, SL_SIG_UNSUPPORTED, "not yet");
}
