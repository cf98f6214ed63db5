/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unpacks the tar on standard input into a directory, through the stage:
 *   untar_driver [--no-openat2] [--cut=BYTES] [--random=SEED] DIR
 * Prints "implicit PATH" for each directory nobody described, or on failure "CODE ERRNO MESSAGE"
 * on standard error (exit 1). bench_untar uses it as well.
 */
#include "sluice/untar.h"
#include "staged_stub.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct cuts {
    size_t fixed; /* 0: none */
    unsigned seed;
};

static size_t next_cut(struct cuts *cuts, size_t max)
{
    size_t n = cuts->fixed ? cuts->fixed : max;
    if (cuts->seed)
        n = 1 + (size_t)rand_r(&cuts->seed) % (rand_r(&cuts->seed) % 4 ? 700 : max);
    return n < max ? n : max;
}

static int feed(struct sl_stage *stage, struct sl_buf_lane *lane, struct cuts *cuts,
                struct sl_error *err)
{
    for (;;) {
        struct sl_buf *buf = sl_buf_acquire(lane);
        size_t want = next_cut(cuts, buf->cap);
        ssize_t n = read(STDIN_FILENO, buf->data, want);
        if (n <= 0) {
            sl_buf_release(&buf);
            return n < 0 ? sl_error_system(err, errno, "read") : sl_stage_finish(stage, err);
        }
        buf->len = (size_t)n;
        int r = sl_stage_push(stage, &buf, err);
        if (r < 0)
            return r;
    }
}

static int unpack(struct sl_staged_layer *staged, const struct sl_untar_options *options,
                  struct cuts *cuts, struct sl_error *err)
{
    SL_AUTO(sl_buf_pool) pool = NULL;
    SL_AUTO(sl_buf_lane) lane = NULL;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_buf_pool_new((size_t)2 * SL_BUF_SIZE, &pool, err);
    if (r >= 0)
        r = sl_buf_lane_open(pool, 2, &lane, err);
    if (r >= 0)
        r = sl_stage_untar_new(staged, options, &stage, err);
    return r < 0 ? r : feed(stage, lane, cuts, err);
}

int main(int argc, char **argv)
{
    struct sl_untar_options options = {0};
    struct sl_staged_layer staged = {.fd = -1};
    struct cuts cuts = {0};
    struct sl_error err = {0};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--no-openat2") == 0)
            options.no_openat2 = true;
        else if (strncmp(argv[i], "--cut=", 6) == 0)
            cuts.fixed = strtoul(argv[i] + 6, NULL, 10);
        else if (strncmp(argv[i], "--random=", 9) == 0)
            cuts.seed = (unsigned)strtoul(argv[i] + 9, NULL, 10);
        else
            staged.fd = open(argv[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (staged.fd < 0) {
        fprintf(stderr, "usage: untar_driver [--no-openat2] [--cut=N] [--random=SEED] DIR\n");
        return 2;
    }
    int r = unpack(&staged, &options, &cuts, &err);
    for (size_t i = 0; i < staged.n_implicit; i++)
        printf("implicit %s\n", staged.implicit[i]);
    if (r < 0)
        fprintf(stderr, "%s %d %s\n", sl_errc_name(err.code), err.errnum, err.msg);
    staged_stub_done(&staged);
    (void)close(staged.fd);
    return r < 0;
}
