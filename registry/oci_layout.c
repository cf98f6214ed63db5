/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI layout on disk (image-spec image-layout.md) as a source. Blobs may be symbolic links:
 * people deduplicate layouts that way. What a link leads to is as hostile as any blob, and its
 * digest is checked as any.
 */
#include "oci_layout.h"

#include "sluice/core/cancel.h"
#include "sluice/core/limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LAYOUT_FILE_MAX = 4096 }; /* bytes of "oci-layout" */

static const char ref_name[] = "org.opencontainers.image.ref.name";

static struct sl_oci_layout *layout_of(struct sl_source *source)
{
    return (struct sl_oci_layout *)source;
}

/* ---- blobs ---- */

int sl_oci_layout_check_cancelled(const struct sl_oci_layout *layout, struct sl_error *err)
{
    return atomic_load(&layout->is_cancelled) ? sl_cancel_error(err) : 0;
}

static int open_regular(int dirfd, const char *path, int *ret_fd, uint64_t *ret_size,
                        struct sl_error *err)
{
    /* O_NONBLOCK: a FIFO in place of a file must not hang us. */
    SL_AUTO_FD fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "%s is not a regular file", path);
    /* With it, reads of a regular file may answer EAGAIN when they come through a ring. */
    if (fcntl(fd, F_SETFL, 0) < 0)
        return sl_error_system(err, errno, "%s", path);
    *ret_size = (uint64_t)st.st_size;
    *ret_fd = sl_steal_fd(&fd);
    return 0;
}

int sl_oci_layout_open_blob(const struct sl_oci_layout *layout, const struct sl_digest *digest,
                            int *ret_fd, uint64_t *ret_size, struct sl_error *err)
{
    char hex[2 * SL_DIGEST_MAX + 1];
    int r = sl_oci_layout_check_cancelled(layout, err);
    if (r < 0)
        return r;
    sl_digest_hex(digest, hex);
    SL_AUTO_FREE char *path = sl_strf("blobs/%s/%s", sl_digest_alg_name(digest->alg), hex);
    if (!path)
        return sl_error_oom(err);
    r = open_regular(layout->fd, path, ret_fd, ret_size, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", layout->dir) : 0;
}

int sl_oci_layout_check_size(const struct sl_descriptor *blob, uint64_t size, struct sl_error *err)
{
    if (size == blob->size)
        return 0;
    char digest[SL_DIGEST_TEXT_MAX];
    sl_digest_format(&blob->digest, digest);
    return sl_error_set(err, SL_E_INTEGRITY, EBADMSG,
                        "blob %s has %llu bytes, its descriptor says %llu", digest,
                        (unsigned long long)size, (unsigned long long)blob->size);
}

/* Reads size bytes, or as many as there are. */
static int read_whole(int fd, uint64_t size, struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) b = {.data = malloc(size + 1), .cap = size + 1};
    if (!b.data)
        return sl_error_oom(err);
    while (b.len < size) {
        ssize_t n = pread(fd, b.data + b.len, size - b.len, (off_t)b.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_error_system(err, errno, "reading a blob");
        if (n == 0)
            break;
        b.len += (size_t)n;
    }
    b.data[b.len] = 0;
    *ret = b;
    b = (struct sl_bytes){0};
    return 0;
}

static int layout_fetch_blob(struct sl_source *source, const struct sl_descriptor *blob,
                             struct sl_bytes *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    uint64_t size;
    int r = sl_oci_layout_open_blob(layout_of(source), &blob->digest, &fd, &size, err);
    if (r >= 0)
        r = sl_oci_layout_check_size(blob, size, err);
    if (r < 0)
        return r;
    SL_AUTO_DONE(sl_bytes) bytes = {0};
    r = read_whole(fd, size, &bytes, err);
    if (r >= 0)
        r = sl_oci_layout_check_size(blob, bytes.len, err);
    if (r < 0)
        return r;
    *ret = bytes;
    bytes = (struct sl_bytes){0};
    return 0;
}

/* ---- documents ---- */

int sl_oci_layout_check_version(int dirfd, const char *dir, struct sl_error *err)
{
    static const char supported[] = "1.0.0";
    SL_AUTO_DONE(sl_bytes) text = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    const char *version = NULL;
    int r = sl_read_file(dirfd, "oci-layout", LAYOUT_FILE_MAX, &text, err);
    if (r >= 0)
        r = sl_json_parse(sl_bytes_span(&text), "oci-layout", NULL, &doc, err);
    if (r >= 0)
        r = sl_json_need_string(sl_json_root(doc), "imageLayoutVersion", &version, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s is not an OCI layout", dir);
    if (strcmp(version, supported) != 0)
        return sl_error_set(err, SL_E_UNSUPPORTED, EOPNOTSUPP,
                            "%s: layout version '%.40s' is not supported (only %s is)", dir,
                            version, supported);
    return 0;
}

static int check_version(struct sl_oci_layout *layout, struct sl_error *err)
{
    if (layout->has_checked_version)
        return 0;
    int r = sl_oci_layout_check_version(layout->fd, layout->dir, err);
    layout->has_checked_version = r == 0;
    return r;
}

const struct sl_descriptor *sl_oci_layout_find_tag(const struct sl_index *index, const char *tag)
{
    for (size_t i = 0; i < index->n_entries; i++) {
        const struct sl_descriptor *d = &index->entries[i].descriptor;
        const char *name = sl_descriptor_annotation(d, ref_name);
        if (name && strcmp(name, tag) == 0)
            return d;
    }
    return NULL;
}

/* The entry the source was opened for. */
static int choose_entry(const struct sl_oci_layout *layout, const struct sl_index *index,
                        const struct sl_descriptor **ret, struct sl_error *err)
{
    if (layout->tag) {
        *ret = sl_oci_layout_find_tag(index, layout->tag);
        return *ret ? 0
                    : sl_error_set(err, SL_E_SYSTEM, ENOENT, "%s: index.json has no entry '%s'",
                                   layout->dir, layout->tag);
    }
    if (index->n_entries != 1)
        return sl_error_set(err, SL_E_FORMAT, ENOENT,
                            "%s: index.json has %zu entries; name one: oci:DIR:TAG or "
                            "oci:DIR@DIGEST",
                            layout->dir, index->n_entries);
    *ret = &index->entries[0].descriptor;
    return 0;
}

int sl_oci_layout_read_index(struct sl_oci_layout *layout, struct sl_bytes *ret,
                             struct sl_error *err)
{
    int r = sl_oci_layout_check_cancelled(layout, err);
    if (r == 0)
        r = check_version(layout, err);
    if (r < 0)
        return r;
    r = sl_read_file(layout->fd, "index.json", SL_MANIFEST_MAX, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s", layout->dir) : 0;
}

static int read_index(struct sl_oci_layout *layout, struct sl_index **ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) text = {0};
    int r = sl_oci_layout_read_index(layout, &text, err);
    if (r < 0)
        return r;
    r = sl_index_parse(sl_bytes_span(&text), /* media_type= */ NULL, ret, err);
    return r < 0 ? sl_error_wrap(err, r, "%s: index.json", layout->dir) : 0;
}

int sl_oci_layout_fetch_document(struct sl_oci_layout *layout, const struct sl_digest *digest,
                                 struct sl_source_document *ret, struct sl_error *err)
{
    SL_AUTO_FD fd = -1;
    uint64_t size;
    int r = check_version(layout, err);
    if (r >= 0)
        r = sl_oci_layout_open_blob(layout, digest, &fd, &size, err);
    if (r < 0)
        return r;
    if (size > SL_MANIFEST_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "%s: a manifest of %llu bytes, the limit is %d",
                            layout->dir, (unsigned long long)size, SL_MANIFEST_MAX);
    struct sl_source_document doc = {0};
    r = read_whole(fd, size, &doc.bytes, err);
    if (r >= 0)
        *ret = doc;
    return r;
}

int sl_oci_layout_fetch_entry(struct sl_oci_layout *layout, const struct sl_descriptor *d,
                              struct sl_source_document *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_source_document) doc = {0};
    int r = sl_oci_layout_fetch_document(layout, &d->digest, &doc, err);
    if (r >= 0)
        r = sl_oci_layout_check_size(d, doc.bytes.len, err);
    if (r < 0)
        return r;
    doc.media_type = strdup(d->media_type);
    if (!doc.media_type)
        return sl_error_oom(err);
    doc.has_promised = true;
    doc.promised = d->digest;
    *ret = doc;
    doc = (struct sl_source_document){0};
    return 0;
}

static int fetch_by_name(struct sl_oci_layout *layout, struct sl_source_document *ret,
                         struct sl_error *err)
{
    SL_AUTO(sl_index) index = NULL;
    const struct sl_descriptor *d = NULL;
    int r = read_index(layout, &index, err);
    if (r >= 0)
        r = choose_entry(layout, index, &d, err);
    return r < 0 ? r : sl_oci_layout_fetch_entry(layout, d, ret, err);
}

static int layout_fetch_manifest(struct sl_source *source, const struct sl_digest *digest,
                                 struct sl_source_document *ret, struct sl_error *err)
{
    struct sl_oci_layout *layout = layout_of(source);
    return digest ? sl_oci_layout_fetch_document(layout, digest, ret, err)
                  : fetch_by_name(layout, ret, err);
}

/* ---- the source ---- */

/* Files do not keep anybody waiting; streams wait for buffers. */
static void layout_cancel(struct sl_source *source)
{
    struct sl_oci_layout *layout = layout_of(source);
    atomic_store(&layout->is_cancelled, true);
    sl_oci_layout_stop_streams(layout);
}

static void layout_close(struct sl_source *source)
{
    struct sl_oci_layout *layout = layout_of(source);
    pthread_mutex_destroy(&layout->lock);
    if (layout->fd >= 0)
        (void)close(layout->fd);
    free(layout->dir);
    free(layout->real);
    free(layout->tag);
    free(layout);
}

static const struct sl_source_ops layout_ops = {
    .name = "oci",
    .fetch_manifest = layout_fetch_manifest,
    .fetch_blob = layout_fetch_blob,
    .stream = sl_oci_layout_stream,
    .attachments = &sl_oci_layout_attachment_ops,
    .cancel = layout_cancel,
    .close = layout_close,
};

/* A policy goes by what a directory is called, not by how one got there. Whoever turns a link round
 * meanwhile is noticed: the directory of that name is the one that was opened. */
static int find_real_path(struct sl_oci_layout *layout, const char *dir, struct sl_error *err)
{
    struct stat opened, named;
    layout->real = realpath(dir, NULL);
    if (!layout->real || fstat(layout->fd, &opened) < 0 || stat(layout->real, &named) < 0)
        return sl_error_system(err, errno, "OCI layout %s", dir);
    if (opened.st_dev == named.st_dev && opened.st_ino == named.st_ino)
        return 0;
    return sl_error_set(err, SL_E_SYSTEM, EAGAIN,
                        "OCI layout %s: it was moved while it was opened; try again", dir);
}

const char *sl_oci_layout_real_path(const struct sl_source *source)
{
    return ((const struct sl_oci_layout *)source)->real;
}

int sl_oci_layout_open(const char *dir, const char *tag, struct sl_source **ret,
                       struct sl_error *err)
{
    struct sl_oci_layout *layout = calloc(1, sizeof(*layout));
    if (!layout)
        return sl_error_oom(err);
    layout->source.ops = &layout_ops;
    pthread_mutex_init(&layout->lock, NULL);
    layout->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = layout->fd < 0 ? sl_error_system(err, errno, "OCI layout %s", dir) : 0;
    if (r == 0)
        r = find_real_path(layout, dir, err);
    layout->dir = strdup(dir);
    layout->tag = tag ? strdup(tag) : NULL;
    if (r >= 0 && (!layout->dir || (tag && !layout->tag)))
        r = sl_error_oom(err);
    if (r < 0) {
        layout_close(&layout->source);
        return r;
    }
    *ret = &layout->source;
    return 0;
}
