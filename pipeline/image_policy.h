/* SPDX-License-Identifier: Apache-2.0 */
/* What the operator says about signatures, read and ready: the policy, and where signatures lie. */
#pragma once

#include "sluice/kbc.h"
#include "sluice/lookaside.h"
#include "sluice/pipeline.h"

struct sl_image_policy {
    struct sl_signature_policy *policy;   /* NULL: --insecure-policy */
    struct sl_registries_d *registries_d; /* NULL with it */
};
/* image_name is for the message where there is no policy. kbc (or NULL) is borrowed for the call.
 */
SL_MUST_CHECK int sl_image_policy_open(const struct sl_policy_options *options, struct sl_kbc *kbc,
                                       const char *image_name, struct sl_image_policy *ret,
                                       struct sl_error *err);
void sl_image_policy_done(struct sl_image_policy *policy);
SL_DEFINE_AUTO_DONE(sl_image_policy, sl_image_policy_done)
