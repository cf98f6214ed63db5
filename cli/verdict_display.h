/* SPDX-License-Identifier: Apache-2.0 */
/* What a person, or a program, sees of a policy's verdict. To stdout. */
#pragma once

#include "cli.h"

void verdict_display_text(const struct sl_policy_verdict *verdict);
SL_MUST_CHECK int verdict_display_json(const struct sl_policy_verdict *verdict,
                                       struct sl_error *err);
