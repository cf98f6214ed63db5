/* SPDX-License-Identifier: Apache-2.0 */
#include "range_plan.h"

const struct sl_range_limits sl_range_limits_default = {
    .blob_min = 16ULL * 1024 * 1024,
    .range_min = 1024ULL * 1024,
    .range_max = 4ULL * 1024 * 1024,
    .goal = 125ULL * 1000 * 1000,
    .window = 2560ULL * 1024,
};

enum { RTT_MAX_US = 10 * 1000 * 1000 }; /* beyond that the number no longer matters */

unsigned sl_range_width(const struct sl_range_limits *limits, uint64_t left, unsigned rtt_us)
{
    if (limits->presumed_us)
        rtt_us = limits->presumed_us;
    if (left < limits->blob_min || !rtt_us)
        return 1;
    if (rtt_us > RTT_MAX_US)
        rtt_us = RTT_MAX_US;
    uint64_t under_way = limits->goal / 1000 * rtt_us / 1000;
    /* Two or three by ranges brought no more than one that brings half alone. */
    if (under_way <= limits->window * 2)
        return 1;
    /* Half as many more: those that wait for the first byte of a range or have lost a packet. */
    uint64_t width = (under_way * 3 / 2 + limits->window - 1) / limits->window;
    return width > SL_RANGES_MAX ? SL_RANGES_MAX : (unsigned)width;
}

struct sl_range_plan sl_range_plan(const struct sl_range_limits *limits, unsigned width,
                                   uint64_t memory)
{
    uint64_t most = 1 + memory / limits->range_min; /* the first needs none */
    if (width > most)
        width = (unsigned)most;
    if (width <= 1)
        return (struct sl_range_plan){.width = 1, .out = 1};
    uint64_t size = memory / (width - 1);
    if (size > limits->range_max)
        size = limits->range_max;
    uint64_t out = width + memory / size;
    return (struct sl_range_plan){
        .width = width,
        .out = out < SL_RANGES_OUT ? (unsigned)out : SL_RANGES_OUT,
        .size = size,
    };
}

uint64_t sl_range_end(const struct sl_range_plan *plan, uint64_t start, uint64_t blob)
{
    return plan->width > 1 && blob - start > plan->size ? start + plan->size : blob;
}
