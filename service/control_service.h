/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's own socket, apart from that of the hub: see sluice/control.h. */
#pragma once

#include "jobs.h"
#include "sluice/control.h"
#include "sluice/rpc.h"

extern const char sl_control_name[]; /* "sluice.Control" */

struct sl_control_options {
    const char *address; /* "unix:///PATH", or as sl_rpc_server_listen() has it */
    struct sl_jobs *jobs;
    struct sl_backend *backend;
    const char *config_path; /* or NULL */
    /* Reads the configuration again. May block; several threads. */
    int (*reload)(void *arg, struct sl_error *err);
    void *arg;
};

struct sl_control;
SL_MUST_CHECK int sl_control_start(const struct sl_control_options *options,
                                   struct sl_control **ret, struct sl_error *err);
struct sl_control *sl_control_stop(struct sl_control *control);
SL_DEFINE_AUTO(sl_control, sl_control_stop)
