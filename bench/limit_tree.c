/* SPDX-License-Identifier: Apache-2.0 */
/* What a layer's tree costs: our stage alone, fed from memory, and GNU tar for information. */
#include "limit_parts.h"

#include "sluice/core/subprocess.h"
#include "sluice/untar.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    GNU_TAR_DEADLINE_MS = 600 * 1000,
    GNU_TAR_ERRORS_MAX = 4096,
    TOUCH_BYTES = 1024 * 1024, /* a write */
    /* The kernel may first give what it gave back: as much again is used, and 1 is too little. */
    TOUCH_TIMES = 2,
};

bool limit_is_volatile(const char *root)
{
    struct statfs fs;
    return statfs(root, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

void limit_touch_memory(const char *folder, uint64_t bytes)
{
    SL_AUTO_FREE char *zeros = calloc(1, TOUCH_BYTES);
    SL_AUTO_FD fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    uint64_t wanted = bytes * TOUCH_TIMES, most = limit_free_memory() / 2;
    ssize_t n = zeros && fd >= 0 ? 1 : 0;
    for (uint64_t done = 0; n > 0 && done < wanted && done < most; done += (uint64_t)n)
        n = write(fd, zeros, TOUCH_BYTES);
}

static int unpack(const struct limit_image *image, struct sl_span plain, struct sl_store *store,
                  struct sl_staged_layer **ret, struct limit_cost *cost, struct sl_error *err)
{
    SL_AUTO(sl_buf_lane) lane = NULL;
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_buf_lane_open(image->buffers, 1, &lane, err);
    if (r == 0)
        r = sl_staged_layer_new(store, ret, err);
    if (r == 0)
        r = sl_stage_untar_new(*ret, /* options= */ NULL, &stage, err);
    return r < 0 ? r : limit_drive(stage, plain, lane, cost, err);
}

/* Nothing is committed: the tree goes with *staged, but not before the clock has stopped. */
static int make_ours(const struct limit_image *image, struct sl_span plain, struct sl_store *store,
                     struct limit_cost costs[LIMIT_PARTS], struct sl_error *err)
{
    SL_AUTO(sl_staged_layer) staged = NULL;
    bool is_volatile = limit_is_volatile(sl_store_root(store));
    double kernel = is_volatile ? 0 : limit_kernel_cpu();
    struct limit_meter since = limit_meter_now();
    costs[LIMIT_TREE].by = "sluice";
    int r = unpack(image, plain, store, &staged, &costs[LIMIT_TREE], err);
    if (r < 0 || is_volatile)
        return r;
    struct limit_cost *out = &costs[LIMIT_WRITE_OUT];
    if (syncfs(sl_staged_layer_fd(staged)) < 0)
        return sl_error_system(err, errno, "syncing %s", sl_store_root(store));
    limit_meter_add(out, since);
    out->by = "kernel";
    out->cpu = limit_kernel_cpu() - kernel;
    return 0;
}

static double children_cpu(void)
{
    struct rusage use;
    (void)getrusage(RUSAGE_CHILDREN, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

/* Where there is no GNU tar, or it fails, nothing is told of it. */
static void make_by_gnu_tar(struct limit_layer *l, struct sl_span plain, const char *folder)
{
    const char *const argv[] = {"tar", "-x", "-p", "--numeric-owner", "--xattrs", "-C", folder,
                                "-f",  "-",  NULL};
    const struct sl_subprocess tar = {.argv = argv,
                                      .input = plain,
                                      .deadline_ms = GNU_TAR_DEADLINE_MS,
                                      .output_max = 1,
                                      .errors_max = GNU_TAR_ERRORS_MAX,
                                      .cancel_fd = -1};
    SL_AUTO_DONE(sl_subprocess_result) result = {0};
    double before = children_cpu();
    struct limit_cost cost = {0};
    struct limit_meter since = limit_meter_now();
    if (sl_subprocess_run(&tar, &result, NULL) < 0 || result.status != 0)
        return;
    limit_meter_add(&cost, since);
    l->gnu_tar_cpu = children_cpu() - before;
    l->gnu_tar_wall = cost.wall;
}

int limit_make_tree(const struct limit_image *image, struct limit_layer *l, struct sl_span plain,
                    const char *root, bool gnu_tar, struct limit_cost costs[LIMIT_PARTS],
                    struct sl_error *err)
{
    SL_AUTO(sl_store) store = NULL;
    int r = sl_store_open(root, &store, err);
    bool is_volatile = r == 0 && limit_is_volatile(root);
    if (is_volatile)
        limit_touch_memory(root, plain.len);
    if (r == 0)
        r = make_ours(image, plain, store, costs, err);
    SL_AUTO_FREE char *folder = sl_strf("%s/gnu-tar", root);
    if (r == 0 && gnu_tar && folder && mkdir(folder, 0700) == 0) {
        if (is_volatile)
            limit_touch_memory(root, plain.len);
        make_by_gnu_tar(l, plain, folder);
    }
    /* Or the kernel would still write it while the pull is measured. */
    SL_AUTO_FD dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && !is_volatile && (dir < 0 || syncfs(dir) < 0))
        r = sl_error_system(err, errno, "syncing %s", root);
    return r;
}
