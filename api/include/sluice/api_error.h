/* SPDX-License-Identifier: Apache-2.0 */
/* For the rooms of this house that use the face and speak of errors as the house does. */
#pragma once

#include "sluice.h"
#include "sluice/core/error.h"

/* r, and the error when it is a failure. err may be NULL; its stage is valid until the same thread
 * comes again. */
int sl_error_from_api(int r, const struct sluice_error *from, struct sl_error *err);
/* The other direction. */
struct sluice_error sl_error_to_api(const struct sl_error *from);
