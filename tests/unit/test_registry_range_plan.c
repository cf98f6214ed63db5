/* SPDX-License-Identifier: Apache-2.0 */
#include "range_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB (UINT64_C(1024) * 1024)

static const struct sl_range_limits *const limits = &sl_range_limits_default;

static void short_way_takes_one_connection(void **state)
{
    (void)state;
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 30), 1);
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 1000), 1);
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 40000), 1);
}

static void long_way_takes_more_up_to_the_limit(void **state)
{
    (void)state;
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 43000), 4);
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 60000), 5);
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 100000), SL_RANGES_MAX);
    assert_int_equal(sl_range_width(limits, UINT64_MAX, UINT32_MAX), SL_RANGES_MAX);
}

static void small_blob_and_unknown_way_take_one(void **state)
{
    (void)state;
    assert_int_equal(sl_range_width(limits, limits->blob_min - 1, 100000), 1);
    assert_int_equal(sl_range_width(limits, limits->blob_min, 100000), SL_RANGES_MAX);
    assert_int_equal(sl_range_width(limits, 1000 * MIB, 0), 1);
}

static void presumed_way_overrides_the_measured_one(void **state)
{
    (void)state;
    struct sl_range_limits presumed = *limits;
    presumed.presumed_us = 50000;
    assert_int_equal(sl_range_width(&presumed, 1000 * MIB, 30), 4);
    assert_int_equal(sl_range_width(&presumed, 1000 * MIB, 0), 4);
}

/* Whatever the memory: all that is ahead fits into it, or waits in the kernel. */
static void ranges_ahead_fit_into_the_memory(void **state)
{
    (void)state;
    for (uint64_t memory = 0; memory < 80 * MIB; memory += 257 * 1024) {
        struct sl_range_plan plan = sl_range_plan(limits, SL_RANGES_MAX, memory);
        assert_in_range(plan.width, 1, SL_RANGES_MAX);
        if (plan.width == 1)
            continue;
        assert_in_range(plan.size, limits->range_min, limits->range_max);
        assert_true((plan.width - 1) * plan.size <= memory);
        assert_in_range(plan.out, plan.width, SL_RANGES_OUT);
        assert_true((plan.out - plan.width) * plan.size <= memory);
    }
}

static void little_memory_makes_fewer_and_smaller_ranges(void **state)
{
    (void)state;
    assert_int_equal(sl_range_plan(limits, 12, MIB - 1).width, 1);
    assert_int_equal(sl_range_plan(limits, 12, 3 * MIB).width, 4);
    assert_int_equal(sl_range_plan(limits, 12, 3 * MIB).size, MIB);
    assert_int_equal(sl_range_plan(limits, 3, 64 * MIB).size, 4 * MIB);
    assert_int_equal(sl_range_plan(limits, 1, 64 * MIB).width, 1);
}

static void ranges_cover_the_blob_without_gap(void **state)
{
    (void)state;
    const struct sl_range_plan plan = {.width = 4, .size = MIB};
    const uint64_t blob = 5 * MIB + 17;
    unsigned n = 0;
    for (uint64_t at = 0; at < blob; n++) {
        uint64_t end = sl_range_end(&plan, at, blob);
        assert_true(end > at && end <= blob && end - at <= MIB);
        at = end;
    }
    assert_int_equal(n, 6);
    assert_int_equal(sl_range_end(&plan, 4 * MIB + 17, blob), blob);
    assert_int_equal(sl_range_end(&(struct sl_range_plan){.width = 1}, 5, blob), blob);
    assert_int_equal(sl_range_end(&plan, UINT64_MAX - 1, UINT64_MAX), UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_way_takes_one_connection),
        cmocka_unit_test(long_way_takes_more_up_to_the_limit),
        cmocka_unit_test(small_blob_and_unknown_way_take_one),
        cmocka_unit_test(presumed_way_overrides_the_measured_one),
        cmocka_unit_test(ranges_ahead_fit_into_the_memory),
        cmocka_unit_test(little_memory_makes_fewer_and_smaller_ranges),
        cmocka_unit_test(ranges_cover_the_blob_without_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
