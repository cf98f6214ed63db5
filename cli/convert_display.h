/* SPDX-License-Identifier: Apache-2.0 */
/* What a person, or a program, sees of a conversion. */
#pragma once

#include "cli.h"
#include "layer_bars.h"

/* A progress function of sluice_convert_options; arg is the layer_bars. */
void convert_display_progress(void *arg, const struct sluice_convert_report *report);
/* One line, to stderr. */
void convert_display_summary(const struct sluice_convert_report *report);
/* The report as JSON, to stdout. */
SL_MUST_CHECK int convert_display_json(const struct sluice_convert_report *report,
                                       struct sl_error *err);
