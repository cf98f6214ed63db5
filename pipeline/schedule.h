/* SPDX-License-Identifier: Apache-2.0 */
/* What pulls and conversions share of running several layers at once. */
#pragma once

#include "engine.h"

#include "sluice/core/clock.h"

enum { SL_JOBS_DEFAULT = 4 };

/* Until event_fd, an eventfd, says that a layer has come further (its count is taken), until
 * watch_fd (-1: none) is readable, until progress is due if there are reports, or until cancel_fd
 * is readable: -ECANCELED. Once the run has failed, only the end of what still runs is of interest.
 */
SL_MUST_CHECK int sl_schedule_wait(int cancel_fd, int event_fd, int watch_fd, bool has_failed,
                                   bool reports, struct sl_error *err);
/* Whether progress is to be told, for the last time at *reported_ns, which is then set. */
bool sl_progress_is_due(uint64_t *reported_ns, bool now);
