/* SPDX-License-Identifier: Apache-2.0 */
/* One rule of an encryption policy, as the parser fills it and the checks read it. */
#pragma once

#include "sluice/encryption_policy.h"

/* Lists are NULL-terminated and owned; NULL: there is no such list, and anything goes. */
struct sl_encryption_rule {
    char *scope; /* "" for the default */
    enum sl_encryption_demand demand;
    char **kids; /* canonical; an entry that ends at a '/' is a prefix */
    char **protocols, **providers, **wrap_types;
};

void sl_encryption_rule_done(struct sl_encryption_rule *rule);

/* "kbs+resource:///default/key/" becomes "kbs:///default/key/", to be freed. SL_E_FORMAT for what
 * is neither a key id nor the beginning of one, cut behind a '/'. */
SL_MUST_CHECK int sl_kid_prefix_parse(const char *text, char **ret, struct sl_error *err);
