/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_parts.h"

#include "sluice/core/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    STAT_MAX = 1024,            /* bytes of /proc/PID/stat that are read */
    KERNEL_THREAD = 0x00200000, /* PF_KTHREAD of its flags (proc(5), kernel's sched.h) */
    TCP_LISTEN_STATE = 0x0a,    /* of /proc/net/tcp */
    MEMINFO_MAX = 64 * 1024,    /* bytes */
};

static double seconds_of(struct timespec ts)
{
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double read_clock(clockid_t clock)
{
    struct timespec ts;
    return clock_gettime(clock, &ts) == 0 ? seconds_of(ts) : 0;
}

struct limit_meter limit_meter_now(void)
{
    return (struct limit_meter){.cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID),
                                .wall = (double)sl_clock_ns() / 1e9};
}

void limit_meter_add(struct limit_cost *to, struct limit_meter since)
{
    struct limit_meter now = limit_meter_now();
    to->cpu += now.cpu - since.cpu;
    to->wall += now.wall - since.wall;
}

/* To the nanosecond, where /proc/PID/stat counts in hundredths of a second. */
double limit_process_cpu(pid_t pid)
{
    clockid_t clock;
    return pid > 0 && clock_getcpuclockid(pid, &clock) == 0 ? read_clock(clock) : 0;
}

static bool is_kernel_thread(pid_t pid)
{
    char path[64], text[STAT_MAX];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    SL_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    unsigned flags = 0;
    /* The name is in brackets, and may hold some itself. */
    const char *rest = strrchr(text, ')');
    return rest && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 &&
           (flags & KERNEL_THREAD);
}

/* Calls fn for each process until it says true. */
static pid_t find_process(bool (*fn)(pid_t pid, void *arg), void *arg)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (const struct dirent *d; proc && !found && (d = readdir(proc));) {
        pid_t pid = isdigit((unsigned char)d->d_name[0]) ? (pid_t)strtol(d->d_name, NULL, 10) : 0;
        if (pid > 0 && fn(pid, arg))
            found = pid;
    }
    if (proc)
        (void)closedir(proc);
    return found;
}

static bool add_kernel_cpu(pid_t pid, void *arg)
{
    double *sum = arg;
    if (is_kernel_thread(pid))
        *sum += limit_process_cpu(pid);
    return false;
}

double limit_kernel_cpu(void)
{
    double sum = 0;
    (void)find_process(add_kernel_cpu, &sum);
    return sum;
}

/* ---- who listens ---- */

/* The inode of the socket that listens at this port, from a table of the kernel; 0: none. */
static uint64_t find_socket(const char *table, unsigned port)
{
    char line[512];
    uint64_t inode = 0;
    FILE *f = fopen(table, "re");
    while (f && !inode && fgets(line, sizeof(line), f)) {
        unsigned at, state;
        uint64_t id;
        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %" SCNu64,
                   &at, &state, &id) == 3 &&
            at == port && state == TCP_LISTEN_STATE)
            inode = id;
    }
    if (f)
        (void)fclose(f);
    return inode;
}

static bool has_socket(pid_t pid, void *arg)
{
    const char *wanted = arg;
    char path[64], target[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    DIR *fds = opendir(path);
    bool found = false;
    for (const struct dirent *d; fds && !found && (d = readdir(fds));) {
        ssize_t n = readlinkat(dirfd(fds), d->d_name, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = 0;
        found = strcmp(target, wanted) == 0;
    }
    if (fds)
        (void)closedir(fds);
    return found;
}

pid_t limit_find_listener(const char *host)
{
    const char *colon = strrchr(host, ':');
    bool is_here = strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost:", 10) == 0 ||
                   strncmp(host, "[::1]", 5) == 0;
    if (!is_here || !colon)
        return 0;
    unsigned port = (unsigned)strtoul(colon + 1, NULL, 10);
    uint64_t inode = find_socket("/proc/net/tcp", port);
    if (!inode)
        inode = find_socket("/proc/net/tcp6", port);
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
    return inode ? find_process(has_socket, wanted) : 0;
}

/* ---- the rest ---- */

uint64_t limit_free_memory(void)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    if (sl_read_file(AT_FDCWD, "/proc/meminfo", MEMINFO_MAX, &text, NULL) < 0)
        return 0;
    const char *at = strstr((const char *)text.data, "MemAvailable:");
    return at ? strtoull(at + strlen("MemAvailable:"), NULL, 10) * 1024 : 0;
}
