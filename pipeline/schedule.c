/* SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <poll.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 200 };

int sl_schedule_wait(int cancel_fd, int event_fd, int watch_fd, bool has_failed, bool reports,
                     struct sl_error *err)
{
    struct pollfd fds[] = {
        {.fd = event_fd, .events = POLLIN},
        {.fd = has_failed ? -1 : cancel_fd, .events = POLLIN},
        {.fd = has_failed ? -1 : watch_fd, .events = POLLIN},
    };
    int n = poll(fds, sizeof(fds) / sizeof(fds[0]), reports ? PROGRESS_INTERVAL_MS : -1);
    uint64_t count;
    if (n > 0 && fds[0].revents && read(event_fd, &count, sizeof(count)) < 0)
        return 0;
    return n > 0 && fds[1].revents ? sl_cancel_error(err) : 0;
}

bool sl_progress_is_due(uint64_t *reported_ns, bool now)
{
    uint64_t t = sl_clock_ns();
    if (!now && t - *reported_ns < PROGRESS_INTERVAL_MS * UINT64_C(1000000))
        return false;
    *reported_ns = t;
    return true;
}
