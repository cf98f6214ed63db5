/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees of a policy's verdict. To stdout. */
#pragma once

#include "cli.h"

/* json: of sluice_verify(). */
SL_MUST_CHECK int verdict_display_text(struct sl_span json, struct sl_error *err);
