/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void clock_units_agree_and_time_goes_on(void **state)
{
    (void)state;
    uint64_t ns = sl_clock_ns();
    int64_t ms = sl_clock_ms();
    assert_true((uint64_t)ms >= ns / 1000000);
    assert_true((uint64_t)ms <= sl_clock_ns() / 1000000);
}

static void clock_deadline_that_passed_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(sl_clock_remaining_ms(sl_clock_ms()), 0);
    assert_int_equal(sl_clock_remaining_ms(0), 0);
    assert_int_equal(sl_clock_remaining_ms(INT64_MIN / 2), 0);
}

static void clock_deadline_far_away_fits_poll(void **state)
{
    (void)state;
    assert_int_equal(sl_clock_remaining_ms(INT64_MAX), INT_MAX);
    int left = sl_clock_remaining_ms(sl_clock_ms() + 3600000);
    assert_in_range(left, 3500000, 3600000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_units_agree_and_time_goes_on),
        cmocka_unit_test(clock_deadline_that_passed_leaves_nothing),
        cmocka_unit_test(clock_deadline_far_away_fits_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
