/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a program on an older kernel than this one, so to speak:
 *   deny_syscalls ENOSYS|EPERM NAME,NAME... PROGRAM [ARG...]
 */
#include "syscall_filter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    int number;
} calls[] = {
    {"io_uring_setup", SYS_io_uring_setup},
    {"openat2", SYS_openat2},
    {"fsopen", SYS_fsopen},
    {"fsconfig", SYS_fsconfig},
    {"fsmount", SYS_fsmount},
    {"move_mount", SYS_move_mount},
    {"open_tree", SYS_open_tree},
    {"mount_setattr", SYS_mount_setattr},
};

static int number_of(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    return -1;
}

int main(int argc, char **argv)
{
    int numbers[FILTERED_CALLS_MAX];
    size_t n = 0;
    if (argc < 4) {
        fprintf(stderr, "usage: deny_syscalls ENOSYS|EPERM NAME,NAME... PROGRAM [ARG...]\n");
        return 2;
    }
    for (char *name = strtok(argv[2], ","); name && n < FILTERED_CALLS_MAX;
         name = strtok(NULL, ",")) {
        numbers[n] = number_of(name);
        if (numbers[n++] < 0) {
            fprintf(stderr, "deny_syscalls: %s is not in its list\n", name);
            return 2;
        }
    }
    if (filter_system_calls(numbers, n, strcmp(argv[1], "EPERM") == 0 ? EPERM : ENOSYS) < 0) {
        perror("deny_syscalls: no filter");
        return 77;
    }
    (void)execv(argv[3], &argv[3]);
    perror(argv[3]);
    return 127;
}
