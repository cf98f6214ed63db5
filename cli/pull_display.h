/* SPDX-License-Identifier: Apache-2.0 */
/* What a person sees of a pull: a bar for each layer on a terminal, a line now and then
 * elsewhere, and statistics at the end. All on stderr. */
#pragma once

#include "cli.h"

struct pull_display {
    bool terminal;
    unsigned lines;   /* drawn last time, to be drawn over */
    double next_line; /* seconds of the pull at which the next line is due */
};

void pull_display_init(struct pull_display *d);
/* A progress function of sl_pull_options; arg is the display. */
void pull_display_progress(void *arg, const struct sl_pull_report *report);
void pull_display_stats(const struct sl_pull_report *report);
/* The report as JSON, to stdout. */
SL_MUST_CHECK int pull_display_json(const struct sl_pull_report *report, struct sl_error *err);
