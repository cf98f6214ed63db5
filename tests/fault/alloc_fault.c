/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_fault.h"

#include <dirent.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* Allocations of one scenario; more means that it does not end. */
enum { ALLOCATIONS_MAX = 20000 };

static atomic_bool armed;
static atomic_bool stays_out; /* not one allocation fails but all that follow as well */
static atomic_uint count;
static atomic_uint nth;

void fault_pause(void)
{
    atomic_store(&armed, false);
}

void fault_resume(void)
{
    atomic_store(&armed, true);
}

static bool fails_now(void)
{
    if (!atomic_load(&armed))
        return false;
    unsigned mine = atomic_fetch_add(&count, 1) + 1, wanted = atomic_load(&nth);
    if (mine != wanted && !(mine > wanted && atomic_load(&stays_out)))
        return false;
    errno = ENOMEM;
    return true;
}

/* ---- what the linker sends here ---- */

#define WRAP(type, name, params, args, failure)                                                    \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return fails_now() ? (failure) : __real_##name args;                                       \
    }

WRAP(void *, malloc, (size_t size), (size), NULL)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), NULL)
WRAP(void *, realloc, (void *p, size_t size), (p, size), NULL)
WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)
WRAP(char *, strndup, (const char *text, size_t max), (text, max), NULL)
WRAP(int, vasprintf, (char **ret, const char *fmt, va_list ap), (ret, fmt, ap), -1)
WRAP(DIR *, fdopendir, (int fd), (fd), NULL)
WRAP(char *, realpath, (const char *path, char *resolved), (path, resolved), NULL)
WRAP(void *, mmap64, (void *at, size_t len, int prot, int flags, int fd, off_t offset),
     (at, len, prot, flags, fd, offset), MAP_FAILED)

/* ---- driving ---- */

static unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    unsigned n = 0;
    while (readdir(dir))
        n++;
    assert_int_equal(closedir(dir), 0);
    return n;
}

static void check_outcome(int r, const struct sl_error *err, unsigned n)
{
    if (r == 0)
        return;
    if (r != -ENOMEM || err->errnum != ENOMEM || err->code != SL_E_SYSTEM || !err->msg[0])
        fail_msg("allocation %u: result %d, %s %d \"%s\"", n, r, sl_errc_name(err->code),
                 err->errnum, err->msg);
}

/* Returns how many allocations the scenario makes. */
static unsigned fail_each(fault_scenario scenario, void *arg, bool all_after)
{
    unsigned tolerated = 0;
    atomic_store(&stays_out, all_after);
    atomic_store(&nth, UINT_MAX);
    assert_int_equal(scenario(arg, NULL), 0); /* nothing fails: what it compares with */
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        struct sl_error err = {0};
        unsigned before = open_descriptors();
        atomic_store(&count, 0);
        atomic_store(&nth, n);
        fault_resume();
        int r = scenario(arg, &err);
        fault_pause();
        check_outcome(r, &err, n);
        assert_int_equal(open_descriptors(), before);
        if (atomic_load(&count) < n) {
            assert_int_equal(r, 0);
            print_message("%u allocations, %u of them spared\n", n - 1, tolerated);
            return n - 1;
        }
        tolerated += r == 0;
    }
    fail_msg("more than %d allocations", ALLOCATIONS_MAX);
    return 0;
}

void fault_each_allocation(fault_scenario scenario, void *arg, unsigned at_least)
{
    assert_in_range(fail_each(scenario, arg, /* all_after= */ false), at_least, ALLOCATIONS_MAX);
    (void)fail_each(scenario, arg, /* all_after= */ true);
}
