/* SPDX-License-Identifier: Apache-2.0 */
/* signedIdentity: whether a signature's docker-reference is one the policy wants for this image. */
#pragma once

#include "policy_document.h"

/* The text is a verified payload's. False also when it does not parse. */
bool sl_identity_accepts(const struct sl_identity_rule *rule, const char *image_name,
                         const char *signed_reference);
/* Syntax of the two prefixes of remapIdentity. */
bool sl_identity_prefix_is_valid(const char *prefix);
