/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpacking stage against libarchive in the same process, and against GNU tar and bsdtar as
 * programs, from a file in memory on their standard input; all told to do the same work. Bytes are
 * those of the tar. Nobody syncs.
 */
#include "archive_rival.h"
#include "bench_case.h"
#include "bench_data.h"
#include "bench_place.h"
#include "bench_stage.h"
#include "bench_staged.h"

#include "sluice/untar.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct untar_run {
    struct sl_span tar;
    int tar_fd; /* the same in a memfd, for programs */
    struct sl_bench_place place;
    struct sl_bench_lanes lanes;
};

static void tear_down(struct sl_bench_run *run)
{
    struct untar_run *s = run->state;
    sl_bench_place_close(&s->place);
    sl_bench_lanes_done(&s->lanes);
    sl_cleanup_fdp(&s->tar_fd);
    free(s);
}

static int copy_tar(struct untar_run *s, struct sl_error *err)
{
    s->tar_fd = memfd_create("tar", MFD_CLOEXEC);
    for (size_t at = 0; s->tar_fd >= 0 && at < s->tar.len;) {
        ssize_t n = write(s->tar_fd, s->tar.data + at, s->tar.len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (s->tar_fd < 0 || lseek(s->tar_fd, 0, SEEK_CUR) < (off_t)s->tar.len)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot keep the tar in memory");
    return 0;
}

static int set_up(const struct sl_bench_case *c, struct sl_bench_run *run, struct sl_error *err)
{
    struct untar_run *s = calloc(1, sizeof(*s));
    if (!s)
        return sl_error_oom(err);
    s->tar_fd = -1;
    *run = (struct sl_bench_run){.state = s};
    int r = sl_bench_data_tar((enum sl_bench_shape)c->variant, &s->tar, err);
    run->bytes = s->tar.len;
    r = r ? r : sl_bench_lanes_open(1, /* n_out= */ 0, &s->lanes, err);
    r = r ? r : sl_bench_place_open((enum sl_bench_fs)c->detail, &s->place, err);
    r = r ? r : copy_tar(s, err);
    if (r < 0)
        tear_down(run);
    return r;
}

static int reset(struct sl_bench_run *run, struct sl_error *err)
{
    struct untar_run *s = run->state;
    return sl_bench_place_reset(&s->place, err);
}

static int run_stage(struct sl_bench_run *run, struct sl_error *err)
{
    struct untar_run *s = run->state;
    struct sl_bench_staged staged;
    SL_AUTO(sl_stage) stage = NULL;
    run->peak_bytes = sl_buf_pool_peak(s->lanes.pool) * SL_BUF_SIZE;
    sl_bench_staged_init(&staged, s->place.root_fd);
    int r = sl_stage_untar_new(&staged.layer, /* options= */ NULL, &stage, err);
    r = r ? r : sl_bench_push_all(&s->lanes, stage, s->tar, /* piece= */ 0, err);
    sl_bench_staged_done(&staged);
    return r;
}

static int run_libarchive(struct sl_bench_run *run, struct sl_error *err)
{
    struct untar_run *s = run->state;
    struct sl_buf *buf = sl_buf_acquire(s->lanes.in);
    int r = archive_rival_unpack(s->tar, s->place.root_fd, buf->data, buf->cap, err);
    sl_buf_release(&buf);
    return r;
}

/* In the calling thread's namespace of mounts. */
static int start(const struct untar_run *s, const char *const argv[], pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);
    if (r)
        return r;
    r = posix_spawn_file_actions_adddup2(&actions, s->tar_fd, STDIN_FILENO);
    r = r ? r : posix_spawn_file_actions_addfchdir_np(&actions, s->place.root_fd);
    r = r ? r : posix_spawnp(ret, argv[0], &actions, NULL, (char *const *)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int run_program(struct sl_bench_run *run, const char *const argv[], struct sl_error *err)
{
    struct untar_run *s = run->state;
    pid_t pid = -1;
    int status = 0;
    /* The kernel counts what was resident before exec() for the child: that is our memory. */
    run->peak_bytes = SL_BENCH_UNKNOWN;
    (void)lseek(s->tar_fd, 0, SEEK_SET);
    int r = start(s, argv, &pid);
    if (r == ENOENT)
        return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "no %s here", argv[0]);
    if (r || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
        return sl_error_set(err, SL_E_SYSTEM, EIO, "%s has failed", argv[0]);
    return 0;
}

static int run_gnu_tar(struct sl_bench_run *run, struct sl_error *err)
{
    return run_program(run,
                       (const char *const[]){"tar", "--numeric-owner", "--xattrs", "--same-owner",
                                             "-xpf", "-", NULL},
                       err);
}

static int run_bsdtar(struct sl_bench_run *run, struct sl_error *err)
{
    return run_program(run, (const char *const[]){"bsdtar", "--numeric-owner", "-xpf", "-", NULL},
                       err);
}

#define CASE(name_, shape, fs, run_, ...)                                                          \
    {                                                                                              \
        "untar/" name_, {__VA_ARGS__}, SL_BENCH_WALL, shape, fs, set_up, run_, tear_down, reset    \
    }
#define RIVALRY(name_, shape, fs)                                                                  \
    CASE(name_ "/stage", shape, fs, run_stage, "untar/" name_ "/gnu_tar",                          \
         "untar/" name_ "/bsdtar", "untar/" name_ "/libarchive"),                                  \
        CASE(name_ "/gnu_tar", shape, fs, run_gnu_tar, NULL),                                      \
        CASE(name_ "/bsdtar", shape, fs, run_bsdtar, NULL),                                        \
        CASE(name_ "/libarchive", shape, fs, run_libarchive, NULL)
#define PLACE(name_, fs)                                                                           \
    RIVALRY("small_files/" name_, SL_BENCH_SMALL_FILES, fs),                                       \
        RIVALRY("large_files/" name_, SL_BENCH_LARGE_FILES, fs),                                   \
        RIVALRY("mixed/" name_, SL_BENCH_MIXED, fs)

static const struct sl_bench_case cases[] = {
    PLACE("tmpfs", SL_BENCH_TMPFS),
    PLACE("ext4", SL_BENCH_EXT4),
};

const struct sl_bench_table sl_bench_untar = {cases, sizeof(cases) / sizeof(cases[0])};
