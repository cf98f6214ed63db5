/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <time.h>

static bool is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static sigset_t only_sigpipe(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    return set;
}

struct sl_api_quiet sl_api_quiet_begin(void)
{
    struct sl_api_quiet quiet = {.was_pending = is_pending()};
    const sigset_t set = only_sigpipe();
    (void)pthread_sigmask(SIG_BLOCK, &set, &quiet.before);
    return quiet;
}

/* What came meanwhile was ours, and would arrive now. */
void sl_api_quiet_end(struct sl_api_quiet *quiet)
{
    const sigset_t set = only_sigpipe();
    const struct timespec at_once = {0};
    int saved = errno;
    if (!quiet->was_pending && is_pending())
        (void)sigtimedwait(&set, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}
