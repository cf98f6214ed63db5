/* SPDX-License-Identifier: Apache-2.0 */
/* What a running service says of itself, for people. */
#pragma once

#include "sluice/core/json.h"

/* status: as service/status_json.h writes it. Texts of images are made harmless. */
void status_print(const struct sl_json *status);
