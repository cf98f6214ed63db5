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
/* The signals that the service waits for stay pending until it does: to be called before anything
 * else, and before the first thread, which inherits it. */
void sl_daemon_block_signals(void);
/* Until SIGTERM or SIGINT, which sl_daemon_block_signals() has blocked. Takes the configuration. */
SL_MUST_CHECK int sl_daemon_run(const struct sl_daemon_options *options,
                                struct sl_loaded_config **config, struct sl_error *err);
