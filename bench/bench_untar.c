/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpacking stage against libarchive in the same process, told to do the same work: owners,
 * modes, times, and no way out of the folder. In bytes of tar per second; into a folder on
 * /dev/shm, or below SLUICE_BENCH_DIR. Needs root, for the owners.
 */
#include "bench_case.h"

#include "sluice/untar.h"

#include "remove_tree.h"
#include "staged_stub.h"
#include "tar_maker.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1024 * 1024, FILES_PER_DIR = 50, SMALL_FILE = 2000, LARGE_FILE = 32 * MIB };

enum variant { SMALL_FILES, LARGE_FILES };

struct untar_run {
    struct sl_bytes tar;
    char base[128];
    int base_fd, root_fd; /* the folder, and root/ in it: empty before each run */
    struct sl_buf_pool *pool;
    struct sl_buf_lane *lane;
};

static void tear_down(void *state)
{
    struct untar_run *s = state;
    (void)sl_buf_lane_close(s->lane);
    (void)sl_buf_pool_free(s->pool);
    sl_cleanup_fdp(&s->root_fd);
    if (s->base_fd >= 0 && sl_remove_tree(s->base_fd, "root", NULL) == 0)
        (void)rmdir(s->base);
    sl_cleanup_fdp(&s->base_fd);
    sl_bytes_done(&s->tar);
    free(s);
}

/* Directories of 50 files, or one after the other of 32 MiB, until there are so many bytes. */
static void make_tar(struct sl_bytes *tar, enum variant variant, size_t bytes)
{
    size_t size = variant == SMALL_FILES ? SMALL_FILE : LARGE_FILE;
    char *content = malloc(size), name[64];
    if (!content)
        abort();
    memset(content, 'x', size);
    for (unsigned i = 0; tar->len + size + 4 * TAR_MAKER_BLOCK < bytes; i++) {
        unsigned dir = i / FILES_PER_DIR;
        (void)snprintf(name, sizeof(name), "usr/share/package-%u/", dir);
        if (i % FILES_PER_DIR == 0)
            tar_entry(tar, name, '5', "", 0);
        (void)snprintf(name, sizeof(name), "usr/share/package-%u/file-%u", dir, i);
        tar_entry(tar, name, '0', content, size);
    }
    tar_end(tar);
    free(content);
}

static int reset(void *state)
{
    struct untar_run *s = state;
    sl_cleanup_fdp(&s->root_fd);
    s->root_fd = -1;
    int r = sl_remove_tree(s->base_fd, "root", NULL);
    if (r == 0 && mkdirat(s->base_fd, "root", 0755) < 0)
        r = -errno;
    if (r == 0)
        s->root_fd = openat(s->base_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r == 0 && s->root_fd < 0 ? -errno : r;
}

static int prepare(struct untar_run *s, const struct sl_bench_case *c)
{
    const char *parent = getenv("SLUICE_BENCH_DIR");
    (void)snprintf(s->base, sizeof(s->base), "%s/untar-XXXXXX", parent ? parent : "/dev/shm");
    if (!mkdtemp(s->base))
        return -errno;
    s->base_fd = open(s->base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->base_fd < 0)
        return -errno;
    make_tar(&s->tar, (enum variant)c->variant, c->bytes);
    int r = sl_buf_pool_new(SL_BUF_SIZE, &s->pool, NULL);
    return r ? r : sl_buf_lane_open(s->pool, 1, &s->lane, NULL);
}

static int set_up(const struct sl_bench_case *c, void **ret_state)
{
    struct untar_run *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    s->base_fd = s->root_fd = -1;
    int r = prepare(s, c);
    if (r) {
        tear_down(s);
        return r;
    }
    *ret_state = s;
    return 0;
}

static int run_stage(void *state)
{
    struct untar_run *s = state;
    struct sl_staged_layer staged = {.fd = s->root_fd};
    SL_AUTO(sl_stage) stage = NULL;
    int r = sl_stage_untar_new(&staged, /* options= */ NULL, &stage, NULL);
    for (size_t at = 0; r == 0 && at < s->tar.len;) {
        struct sl_buf *buf = sl_buf_acquire(s->lane);
        buf->len = s->tar.len - at < buf->cap ? s->tar.len - at : buf->cap;
        memcpy(buf->data, s->tar.data + at, buf->len);
        at += buf->len;
        r = sl_stage_push(stage, &buf, NULL);
        sl_buf_release(&buf);
    }
    if (r == 0)
        r = sl_stage_finish(stage, NULL);
    staged_stub_done(&staged);
    return r;
}

/* libarchive's source: through one buffer of ours as well, since no layer lies in memory whole. */
struct source {
    const struct untar_run *run;
    struct sl_buf *buf;
    size_t at;
};

static la_ssize_t read_some(struct archive *from, void *arg, const void **ret)
{
    (void)from;
    struct source *src = arg;
    size_t left = src->run->tar.len - src->at;
    size_t n = left < src->buf->cap ? left : src->buf->cap;
    memcpy(src->buf->data, src->run->tar.data + src->at, n);
    src->at += n;
    *ret = src->buf->data;
    return (la_ssize_t)n;
}

static int copy_content(struct archive *from, struct archive *to)
{
    const void *block;
    size_t len;
    la_int64_t at;
    int r;
    while ((r = archive_read_data_block(from, &block, &len, &at)) == ARCHIVE_OK)
        if (archive_write_data_block(to, block, len, at) < 0)
            return ARCHIVE_FATAL;
    return r == ARCHIVE_EOF ? ARCHIVE_OK : r;
}

static int copy_entries(struct archive *from, struct archive *to)
{
    struct archive_entry *entry;
    int r;
    while ((r = archive_read_next_header(from, &entry)) == ARCHIVE_OK) {
        r = archive_write_header(to, entry);
        if (r == ARCHIVE_OK)
            r = copy_content(from, to);
        if (r == ARCHIVE_OK)
            r = archive_write_finish_entry(to);
        if (r != ARCHIVE_OK)
            return r;
    }
    return r == ARCHIVE_EOF ? archive_write_close(to) : r;
}

static int run_libarchive(void *state)
{
    struct untar_run *s = state;
    struct archive *from = archive_read_new(), *to = archive_write_disk_new();
    const int flags = ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                      ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_UNLINK |
                      ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                      ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
    struct source src = {.run = s, .buf = sl_buf_acquire(s->lane)};
    int r = ARCHIVE_FATAL;
    /* It knows no folder but the current one. */
    if (from && to && fchdir(s->root_fd) == 0 &&
        archive_write_disk_set_options(to, flags) == ARCHIVE_OK &&
        archive_read_support_format_tar(from) == ARCHIVE_OK &&
        archive_read_open(from, &src, NULL, read_some, NULL) == ARCHIVE_OK)
        r = copy_entries(from, to);
    (void)archive_read_free(from);
    (void)archive_write_free(to);
    sl_buf_release(&src.buf);
    (void)!chdir("/");
    return r == ARCHIVE_OK ? 0 : -EIO;
}

#define CASE(name_, variant_, run_, rival_)                                                        \
    {                                                                                              \
        "untar/" name_, rival_, 64 * MIB, variant_, set_up, run_, tear_down, reset                 \
    }

static const struct sl_bench_case cases[] = {
    CASE("small_files/stage", SMALL_FILES, run_stage, "untar/small_files/libarchive"),
    CASE("small_files/libarchive", SMALL_FILES, run_libarchive, "untar/small_files/stage"),
    CASE("large_files/stage", LARGE_FILES, run_stage, "untar/large_files/libarchive"),
    CASE("large_files/libarchive", LARGE_FILES, run_libarchive, "untar/large_files/stage"),
};

const struct sl_bench_table sl_bench_untar = {cases, sizeof(cases) / sizeof(cases[0])};
