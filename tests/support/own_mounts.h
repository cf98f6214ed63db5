/* SPDX-License-Identifier: Apache-2.0 */
/* A mount namespace of our own: whatever a test mounts goes with the test's process. */
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>
#include <unistd.h>

/* Before there are threads. False where this may not be done: the caller then skips. In a chroot
 * "/" is no mount point (EINVAL), which only means that others may see mounts come and go. */
static inline bool own_mounts_enter(void)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL);
}
