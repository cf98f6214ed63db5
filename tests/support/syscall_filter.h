/* SPDX-License-Identifier: Apache-2.0 */
/* Makes chosen system calls fail, as an old kernel or a container's filter does. */
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { FILTERED_CALLS_MAX = 16 };

/* From now on, for this process and its children, and for good. 0, or -1 and errno. Numbers are
 * those of the machine's own ABI, which is the only one our programs use. */
static inline int filter_system_calls(const int *numbers, size_t n, int errnum)
{
    struct sock_filter code[2 * FILTERED_CALLS_MAX + 2];
    unsigned short len = 0;
    if (n > FILTERED_CALLS_MAX)
        n = FILTERED_CALLS_MAX;
    code[len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                               (unsigned)offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < n; i++) {
        code[len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)numbers[i], 0, 1);
        code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
                                                   SECCOMP_RET_ERRNO | (unsigned)(errnum & 0xffff));
    }
    code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = len, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
