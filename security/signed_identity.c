/* SPDX-License-Identifier: Apache-2.0 */
#include "signed_identity.h"

bool sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                         const char *signed_reference)
{
    (void)rule;
    (void)image_name;
    (void)signed_reference;
    return false;
}

bool sl_identity_prefix_is_valid(const char *prefix)
{
    (void)prefix;
    return false;
}
