/* SPDX-License-Identifier: Apache-2.0 */
/* How far a pull is: as numbers, and as a line of the log every few seconds. */
#pragma once

#include "sluice.h"

struct sl_job_progress {
    size_t n_layers, layers_done;
    size_t n_running, n_waiting;
    uint64_t bytes, received;
    uint64_t missing; /* bytes of layers that were not in the store */
};
/* Layers that were cached count as received. */
struct sl_job_progress sl_job_progress_of(const struct sluice_pull_report *report);

/* One for each job, used by its thread alone. */
struct sl_job_log {
    uint64_t id;
    const char *image;   /* borrowed */
    unsigned interval_s; /* 0: silent */
    int64_t told_ms;     /* CLOCK_MONOTONIC: when it began, or spoke last */
    uint64_t told_bytes;
};
/* Writes a line when it is time for one. */
void sl_job_log_progress(struct sl_job_log *log, const struct sl_job_progress *progress);
/* "3 of 7 layers, 120 of 400 MB, 35.0 MB/s" and what it waits for. Speed in bytes a second. */
void sl_job_progress_text(const struct sl_job_progress *progress, double speed, char *out,
                          size_t size);
