/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees of a pull: progress, and statistics at the end; and the same for programs. */
#pragma once

#include "cli.h"
#include "layer_bars.h"

/* A progress function of sluice_pull_options; arg is the layer_bars. */
void pull_display_progress(void *arg, const struct sluice_pull_report *report);
/* To stderr. */
void pull_display_stats(const struct sluice_pull_report *report);
/* The report as JSON, to stdout. */
SL_MUST_CHECK int pull_display_json(const struct sluice_pull_report *report, struct sl_error *err);
