/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running out of memory, at every place in turn. The linker sends what our objects allocate here
 * (--wrap, see CMakeLists.txt); libraries allocate as always.
 */
#pragma once

#include "sluice/core/error.h"

/* Does the whole thing once and cleans up. When it returns 0 it has checked that the result is
 * complete. Runs again and again: what stays from one run must not disturb the next. */
typedef int (*fault_scenario)(void *arg, struct sl_error *err);

/*
 * Runs the scenario once in peace, then with its first allocation failing, its second and so on,
 * until it needs no more; then through all of them again with everything from there on failing.
 * Each run must fail with -ENOMEM, in value and in words, or do without the memory and succeed;
 * none may leave a descriptor open. at_least: allocations the scenario is known to make, lest the
 * test go blind.
 */
void fault_each_allocation(fault_scenario scenario, void *arg, unsigned at_least);

/* Brackets what a scenario allocates for itself. Only while no other thread is at work. */
void fault_pause(void);
void fault_resume(void);
