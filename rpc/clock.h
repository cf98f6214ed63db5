/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock of deadlines. */
#pragma once

#include <stdint.h>

/* CLOCK_MONOTONIC milliseconds. */
int64_t sl_rpc_now(void);
/* What is left until deadline, for poll(): 0 once it has passed. */
int sl_rpc_remaining_ms(int64_t deadline);
