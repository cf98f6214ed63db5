/* SPDX-License-Identifier: Apache-2.0 */
/* What the service tells the manager that started it: the protocol of sd_notify(3). Every call does
 * nothing where there is no manager. Messages may be sent on any thread. */
#pragma once

#include "sluice/core/cleanup.h"
#include "sluice/core/error.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_notify;
/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment, so
 * that no program we run speaks for us: before the first thread. */
SL_MUST_CHECK int sl_notify_open(struct sl_notify **ret, struct sl_error *err);
struct sl_notify *sl_notify_close(struct sl_notify *notify);
SL_DEFINE_AUTO(sl_notify, sl_notify_close)

/* Milliseconds after which the manager misses us; 0: it does not watch. */
int64_t sl_notify_watchdog_ms(const struct sl_notify *notify);
void sl_notify_ready(struct sl_notify *notify);
/* Until sl_notify_ready(). */
void sl_notify_reloading(struct sl_notify *notify);
/* What comes now takes at most ms: the manager is patient that long. */
void sl_notify_stopping(struct sl_notify *notify, int64_t ms);
void sl_notify_alive(struct sl_notify *notify);
/* One line for people. Sent only when it differs from the last one. */
void sl_notify_status(struct sl_notify *notify, const char *text);
