/* SPDX-License-Identifier: Apache-2.0 */
#include "archive_rival.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <unistd.h>

struct source {
    struct sl_span tar;
    uint8_t *buf;
    size_t buf_size, at;
};

static la_ssize_t read_some(struct archive *from, void *arg, const void **ret)
{
    (void)from;
    struct source *src = arg;
    size_t left = src->tar.len - src->at;
    size_t n = left < src->buf_size ? left : src->buf_size;
    memcpy(src->buf, src->tar.data + src->at, n);
    src->at += n;
    *ret = src->buf;
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

int archive_rival_unpack(struct sl_span tar, int root_fd, uint8_t *buf, size_t buf_size,
                         struct sl_error *err)
{
    struct archive *from = archive_read_new(), *to = archive_write_disk_new();
    const int flags = ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                      ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_UNLINK |
                      ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                      ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
    struct source src = {.tar = tar, .buf = buf, .buf_size = buf_size};
    int r = ARCHIVE_FATAL;
    /* It knows no folder but the current one. */
    if (from && to && fchdir(root_fd) == 0 &&
        archive_write_disk_set_options(to, flags) == ARCHIVE_OK &&
        archive_read_support_format_tar(from) == ARCHIVE_OK &&
        archive_read_open(from, &src, NULL, read_some, NULL) == ARCHIVE_OK)
        r = copy_entries(from, to);
    const char *why = to ? archive_error_string(to) : NULL;
    if (r != ARCHIVE_OK)
        (void)sl_error_set(err, SL_E_SYSTEM, EIO, "libarchive: %s", why ? why : "failed");
    (void)archive_read_free(from);
    (void)archive_write_free(to);
    (void)!chdir("/");
    return r == ARCHIVE_OK ? 0 : -EIO;
}
