/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_data.h"

#include "bench_case.h"
#include "tar_maker.h"

#include "sluice/core/digest.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum {
    KIB = 1024,
    MIB = 1024 * 1024,
    FOLDER_SIZE = 11 * MIB,   /* of each folder */
    FOLDER_ENOUGH = 32 * KIB, /* less room is not worth looking for what fits */
    FOLDER_READ = 512 * MIB,  /* nor is reading on for it */
    MADE_SIZE = 64 * MIB,     /* of made-up shapes */
    LAYER_MAX = 1024 * MIB,   /* of SLUICE_BENCH_LAYER */
    SMALL_FILE = 2000,
    LARGE_FILE = 16 * MIB,
    FILES_PER_DIR = 50,
    MEMBER_SIZE = 64 * KIB,
    NOTE_SIZE = 2048,
};

/* Programs, libraries, sources and text, as images have them. */
static const char *const folders[] = {"usr/bin",       "usr/lib/python3", "usr/share/perl",
                                      "usr/share/doc", "usr/include",     "usr/lib/*-linux-gnu"};
enum { N_FOLDERS = sizeof(folders) / sizeof(folders[0]) };

static const struct {
    const char *name;
    int zstd_level; /* 0: not zstd */
} formats[SL_BENCH_FORMATS] = {
    [SL_BENCH_PLAIN] = {"plain", 0},      [SL_BENCH_GZIP] = {"gzip 6", 0},
    [SL_BENCH_MEMBERS] = {"members", 0},  [SL_BENCH_ZSTD_1] = {"zstd 1", 1},
    [SL_BENCH_ZSTD_3] = {"zstd 3", 3},    [SL_BENCH_ZSTD_9] = {"zstd 9", 9},
    [SL_BENCH_ZSTD_19] = {"zstd 19", 19},
};

static struct sl_bytes tars[SL_BENCH_SHAPES], streams[SL_BENCH_FORMATS];
static size_t n_entries; /* of the real tar */

/* ---- files ---- */

static int cache_path(const char *name, char path[PATH_MAX])
{
    const char *dir = getenv("SLUICE_BENCH_DIR"), *home = getenv("HOME");
    if (dir)
        (void)snprintf(path, PATH_MAX, "%s", dir);
    else
        (void)snprintf(path, PATH_MAX, "%s/.cache/sluice-bench", home ? home : "/tmp");
    if (!dir && home) {
        char parent[PATH_MAX];
        (void)snprintf(parent, PATH_MAX, "%s/.cache", home);
        (void)mkdir(parent, 0700);
    }
    (void)mkdir(path, 0700);
    size_t len = strlen(path);
    return snprintf(path + len, PATH_MAX - len, "/micro-%s", name) < (int)(PATH_MAX - len);
}

static int read_file(const char *path, struct sl_bytes *ret, struct sl_error *err)
{
    struct stat st;
    SL_AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot read %s", path);
    if (st.st_size > LAYER_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s exceeds %d MiB", path, LAYER_MAX / MIB);
    struct sl_bytes b = {.data = malloc((size_t)st.st_size + 1), .cap = (size_t)st.st_size + 1};
    if (!b.data)
        return sl_error_oom(err);
    while (b.len < (size_t)st.st_size) {
        ssize_t n = read(fd, b.data + b.len, (size_t)st.st_size - b.len);
        if (n <= 0)
            break;
        b.len += (size_t)n;
    }
    if (b.len < (size_t)st.st_size) {
        sl_bytes_done(&b);
        return sl_error_set(err, SL_E_SYSTEM, EIO, "%s became shorter", path);
    }
    *ret = b;
    return 0;
}

/* A cache that cannot be written costs time and nothing else. */
static void keep_file(const char *path, struct sl_span content)
{
    char temporary[PATH_MAX + 8];
    (void)snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    SL_AUTO_FD fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return;
    size_t at = 0;
    while (at < content.len) {
        ssize_t n = write(fd, content.data + at, content.len - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (at < content.len || rename(temporary, path) < 0)
        (void)unlink(temporary);
}

/* ---- tars ---- */

static uint64_t content_size(const char header[TAR_MAKER_BLOCK])
{
    char field[13] = {0};
    memcpy(field, header + 124, 12);
    return (strtoull(field, NULL, 8) + TAR_MAKER_BLOCK - 1) / TAR_MAKER_BLOCK * TAR_MAKER_BLOCK;
}

/* Whole entries, as long as they fit. */
static void take_entries(FILE *from, size_t room, struct sl_bytes *tar)
{
    char header[TAR_MAKER_BLOCK], block[TAR_MAKER_BLOCK];
    uint64_t passed = 0;
    while (room > sl_bench_size(FOLDER_ENOUGH) / 4 && passed < FOLDER_READ &&
           fread(header, sizeof(header), 1, from) == 1 && header[0]) {
        uint64_t size = content_size(header);
        bool fits = size + TAR_MAKER_BLOCK <= room;
        if (fits)
            tar_append(tar, header, sizeof(header));
        for (uint64_t at = 0; at < size && fread(block, sizeof(block), 1, from) == 1; at += 512)
            if (fits)
                tar_append(tar, block, sizeof(block));
        if (fits)
            room -= size + TAR_MAKER_BLOCK;
        passed += size;
        n_entries += fits;
    }
}

/* ustar, which has one header for each entry; names that are too long for it are left out. */
static int take_folder(const char *folder, struct sl_bytes *tar, struct sl_error *err)
{
    char command[256];
    (void)snprintf(command, sizeof(command),
                   "cd / && exec tar --format=ustar --sort=name --hard-dereference "
                   "--numeric-owner -cf - %s 2>/dev/null",
                   folder);
    FILE *from = popen(command, "re");
    if (!from)
        return sl_error_set(err, SL_E_SYSTEM, errno, "cannot run tar");
    take_entries(from, sl_bench_size(FOLDER_SIZE), tar);
    (void)pclose(from); /* it may have died of a closed pipe */
    return 0;
}

static int real_tar(struct sl_bytes *tar, struct sl_error *err)
{
    char path[PATH_MAX];
    const char *layer = getenv("SLUICE_BENCH_LAYER");
    if (layer)
        return read_file(layer, tar, err);
    bool can_keep = !sl_bench_smoke && cache_path("layer.tar", path);
    if (can_keep && read_file(path, tar, NULL) == 0)
        return 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < N_FOLDERS; i++)
        r = take_folder(folders[i], tar, err);
    if (r < 0)
        return r;
    if (n_entries == 0)
        return sl_error_set(err, SL_E_SYSTEM, ENOENT, "tar has found no files below /usr");
    tar_end(tar);
    if (can_keep)
        keep_file(path, sl_bytes_span(tar));
    return 0;
}

static int made_tar(struct sl_bytes *tar, bool is_small, struct sl_error *err)
{
    size_t size = is_small ? SMALL_FILE : sl_bench_size(LARGE_FILE) / 4 * 3;
    size_t bytes = sl_bench_size(MADE_SIZE);
    SL_AUTO_FREE char *content = malloc(size);
    char name[64];
    if (!content)
        return sl_error_oom(err);
    memset(content, 'x', size);
    for (unsigned i = 0; tar->len + size + (size_t)4 * TAR_MAKER_BLOCK < bytes; i++) {
        unsigned dir = i / FILES_PER_DIR;
        (void)snprintf(name, sizeof(name), "usr/share/package-%u/", dir);
        if (i % FILES_PER_DIR == 0)
            tar_entry(tar, name, '5', "", 0);
        (void)snprintf(name, sizeof(name), "usr/share/package-%u/file-%u", dir, i);
        tar_entry(tar, name, '0', content, size);
    }
    tar_end(tar);
    return 0;
}

int sl_bench_data_tar(enum sl_bench_shape shape, struct sl_span *ret, struct sl_error *err)
{
    struct sl_bytes *tar = &tars[shape];
    if (!tar->data) {
        int r = shape == SL_BENCH_MIXED ? real_tar(tar, err)
                                        : made_tar(tar, shape == SL_BENCH_SMALL_FILES, err);
        if (r < 0) {
            sl_bytes_done(tar);
            return r;
        }
    }
    *ret = sl_bytes_span(tar);
    return 0;
}

/* ---- compressors ---- */

static int put_member(struct sl_span plain, struct sl_bytes *to)
{
    z_stream z = {0};
    if (deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    z.next_in = (Bytef *)plain.data; /* zlib only reads it */
    z.avail_in = (uInt)plain.len;
    z.next_out = to->data + to->len;
    z.avail_out = (uInt)(to->cap - to->len);
    int r = deflate(&z, Z_FINISH);
    to->len += z.total_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? 0 : -EIO;
}

static int put_members(struct sl_span plain, size_t size, struct sl_bytes *to)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < plain.len; at += size) {
        size_t left = plain.len - at;
        r = put_member((struct sl_span){plain.data + at, left < size ? left : size}, to);
    }
    return r;
}

static int put_zstd(struct sl_span plain, int level, struct sl_bytes *to)
{
    size_t n = ZSTD_compress(to->data, to->cap, plain.data, plain.len, level);
    if (ZSTD_isError(n))
        return -EIO;
    to->len = n;
    return 0;
}

static int compress_tar(struct sl_span plain, enum sl_bench_format format, struct sl_bytes *ret,
                        struct sl_error *err)
{
    size_t cap = plain.len + plain.len / 4 + MIB;
    SL_AUTO_DONE(sl_bytes) to = {.data = malloc(cap), .cap = cap};
    if (!to.data)
        return sl_error_oom(err);
    int r = formats[format].zstd_level   ? put_zstd(plain, formats[format].zstd_level, &to)
            : format == SL_BENCH_MEMBERS ? put_members(plain, MEMBER_SIZE, &to)
                                         : put_members(plain, plain.len, &to);
    if (r < 0)
        return sl_error_set(err, SL_E_SYSTEM, -r, "cannot compress: %s", formats[format].name);
    *ret = to;
    to = (struct sl_bytes){0};
    return 0;
}

/* Under the digest of what it was made of. */
static int stream_path(struct sl_span plain, enum sl_bench_format format, char path[PATH_MAX])
{
    struct sl_digest digest;
    char hex[2 * SL_DIGEST_MAX + 1], name[64];
    if (sl_bench_smoke || sl_digest_of(SL_SHA256, plain, &digest, NULL) < 0)
        return 0;
    sl_digest_hex(&digest, hex);
    (void)snprintf(name, sizeof(name), "%.16s-%d", hex, (int)format);
    return cache_path(name, path);
}

int sl_bench_data_stream(enum sl_bench_format format, struct sl_span *ret, struct sl_error *err)
{
    char path[PATH_MAX];
    struct sl_span plain;
    struct sl_bytes *stream = &streams[format];
    int r = sl_bench_data_tar(SL_BENCH_MIXED, &plain, err);
    if (r < 0)
        return r;
    if (format == SL_BENCH_PLAIN) {
        *ret = plain;
        return 0;
    }
    if (!stream->data) {
        bool can_keep = stream_path(plain, format, path);
        if (!can_keep || read_file(path, stream, NULL) < 0) {
            r = compress_tar(plain, format, stream, err);
            if (r < 0)
                return r;
            if (can_keep)
                keep_file(path, sl_bytes_span(stream));
        }
    }
    *ret = sl_bytes_span(stream);
    return 0;
}

const char *sl_bench_data_note(void)
{
    static char note[NOTE_SIZE];
    const char *layer = getenv("SLUICE_BENCH_LAYER");
    const size_t plain = tars[SL_BENCH_MIXED].len;
    if (!plain)
        return "";
    int at = snprintf(note, sizeof(note), "data: %.1f MiB of plain tar, %s", (double)plain / MIB,
                      layer ? layer : "files of this machine:");
    for (size_t i = 0; !layer && i < N_FOLDERS; i++)
        at += snprintf(note + at, sizeof(note) - (size_t)at, " %s", folders[i]);
    for (int i = 0; i < SL_BENCH_FORMATS; i++)
        if (streams[i].len)
            at += snprintf(note + at, sizeof(note) - (size_t)at, "; %s: %.1f %%", formats[i].name,
                           100.0 * (double)streams[i].len / (double)plain);
    (void)snprintf(note + at, sizeof(note) - (size_t)at, "\n");
    return note;
}

void sl_bench_data_done(void)
{
    for (int i = 0; i < SL_BENCH_SHAPES; i++)
        sl_bytes_done(&tars[i]);
    for (int i = 0; i < SL_BENCH_FORMATS; i++)
        sl_bytes_done(&streams[i]);
}
