/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to say of a running service, for people and scripts. */
#pragma once

#include "jobs.h"

struct sl_status_sources {
    struct sl_jobs *jobs;
    struct sl_backend *backend;
    const char *config_path; /* or NULL */
    uint64_t started_ns;     /* of sl_clock_ns() */
};
/* A JSON object. Reads the store; may block. *ret must be empty. */
SL_MUST_CHECK int sl_status_json(const struct sl_status_sources *from, struct sl_bytes *ret,
                                 struct sl_error *err);
