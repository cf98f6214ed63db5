/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/clock.h"

#include <limits.h>
#include <time.h>

uint64_t sl_clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

int64_t sl_clock_ms(void)
{
    return (int64_t)(sl_clock_ns() / 1000000);
}

int sl_clock_remaining_ms(int64_t deadline_ms)
{
    int64_t left = deadline_ms - sl_clock_ms();
    if (left <= 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}
