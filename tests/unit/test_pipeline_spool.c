/* SPDX-License-Identifier: Apache-2.0 */
#include "spool.h"

#include "assert_result.h"

#include <fcntl.h>
#include <unistd.h>

/* The first flow fails before the stream that feeds it is known to whoever has to stop it. */
static void spool_that_feeds_nothing_yet_can_be_woken(void **state)
{
    (void)state;
    SL_AUTO(sl_spool) spool = NULL;
    SL_AUTO_FD dir = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct sl_error err;
    assert_true(dir >= 0);
    assert_int_equal(sl_spool_new(dir, &spool, &err), 0);
    sl_spool_wake(spool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spool_that_feeds_nothing_yet_can_be_woken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
