/* SPDX-License-Identifier: Apache-2.0 */
/* The service's life: what is opened in which order, what it waits for, and how it ends. */
#pragma once

#include "sluice/config.h"

struct sl_daemon_options {
    const char *config_path; /* NULL: none; read again at SIGHUP */
    /* Called once everything is listened on, with the real addresses, NULL-terminated. */
    void (*ready)(void *arg, const char *const *addresses);
    void *ready_arg;
};
/* Until SIGTERM or SIGINT. Takes the configuration. */
SL_MUST_CHECK int sl_daemon_run(const struct sl_daemon_options *options,
                                struct sl_loaded_config **config, struct sl_error *err);
