/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void sl_cleanup_freep(void *pp)
{
    int saved = errno;
    free(*(void **)pp);
    errno = saved;
}

void sl_cleanup_fdp(int *fdp)
{
    int saved = errno;
    if (*fdp >= 0)
        (void)close(*fdp);
    *fdp = -1; /* who cleans up twice must not close what another thread has opened since */
    errno = saved;
}
