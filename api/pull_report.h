/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "api.h"

/* A copy, with its texts; NULL when out of memory. */
struct sluice_pull_report *sl_api_pull_report(const struct sl_pull_report *from);
