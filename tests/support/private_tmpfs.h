/* SPDX-License-Identifier: Apache-2.0 */
/* A tmpfs that only this process sees: overlay attributes and devices work there, whatever /tmp
 * is. Include after cmocka. */
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define PRIVATE_TMPFS "/mnt"

/* At the start of main(), before there are threads. False, with a word why, when this machine does
 * not allow it: the caller then exits with 77. Nobody unmounts it, so that others must not see it:
 * a chroot, where "/" cannot be made private, will not do. */
static inline bool private_tmpfs_mount(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", PRIVATE_TMPFS, "tmpfs", 0, "mode=0755,size=256m") == 0)
        return true;
    (void)fprintf(stderr, "skipped: cannot mount a tmpfs: %s\n", strerror(errno));
    return false;
}
