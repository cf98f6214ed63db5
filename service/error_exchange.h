/* SPDX-License-Identifier: Apache-2.0 */
/* The house's errors and those of the library's face say the same. */
#pragma once

#include "sluice.h"
#include "sluice/core/error.h"

struct sluice_error sl_error_export(const struct sl_error *err);
/* Returns the negative errno that goes with it. err may be NULL. */
int sl_error_import(struct sl_error *err, const struct sluice_error *from);
