/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock of durations and deadlines: CLOCK_MONOTONIC. */
#pragma once

#include <stdint.h>

uint64_t sl_clock_ns(void);
int64_t sl_clock_ms(void);
/* Milliseconds until deadline_ms, for poll(): 0 once it has passed. */
int sl_clock_remaining_ms(int64_t deadline_ms);
