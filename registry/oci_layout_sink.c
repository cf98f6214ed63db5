/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An OCI layout on disk (image-spec image-layout.md) as the place where an image goes to. Blobs
 * appear whole or not at all; index.json, the last, is read, changed and replaced under a lock, so
 * that two writers do not lose each other's entries.
 */
#include "oci_layout_sink.h"

#include "layout_index.h"
#include "oci_layout.h"
#include "sluice/core/limits.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sl_oci_layout_sink *sink_of(struct sl_sink *base)
{
    return (struct sl_oci_layout_sink *)base;
}

/* ---- making it ---- */

/* mkdir -p. *made_from: see struct sl_oci_layout_sink. */
static int make_folders(const char *dir, size_t *made_from, struct sl_error *err)
{
    SL_AUTO_FREE char *path = strdup(dir);
    if (!path)
        return sl_error_oom(err);
    for (char *p = path; *p;) {
        p += strspn(p, "/");
        p += strcspn(p, "/");
        char end = *p;
        *p = '\0';
        int r = mkdir(path, 0755);
        if (r < 0 && errno != EEXIST)
            return sl_error_system(err, errno, "cannot create %s", path);
        if (r == 0 && !*made_from)
            *made_from = (size_t)(p - path);
        *p = end;
        p += strspn(p, "/");
    }
    return 0;
}

static int make_folder(int dirfd, const char *path, struct sl_error *err)
{
    if (mkdirat(dirfd, path, 0755) < 0 && errno != EEXIST)
        return sl_error_system(err, errno, "cannot create %s", path);
    return 0;
}

static int open_folder(int dirfd, const char *path, int *ret, struct sl_error *err)
{
    *ret = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret < 0 ? sl_error_system(err, errno, "%s", path) : 0;
}

/* Writes "oci-layout", or checks the one that is there. */
static int settle_version(struct sl_oci_layout_sink *sink, struct sl_error *err)
{
    static const char version[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
    if (faccessat(sink->fd, "oci-layout", F_OK, 0) == 0)
        return sl_oci_layout_check_version(sink->fd, sink->dir, err);
    int r = sl_layout_file_put(sink->fd, "oci-layout", sl_span_of(version), err);
    sink->made_version |= r == 0;
    return r;
}

static int make_layout(struct sl_oci_layout_sink *sink, struct sl_error *err)
{
    int r = make_folders(sink->dir, &sink->made_from, err);
    if (r == 0)
        r = open_folder(AT_FDCWD, sink->dir, &sink->fd, err);
    if (r == 0)
        r = settle_version(sink, err);
    if (r == 0)
        r = make_folder(sink->fd, "blobs", err);
    if (r == 0)
        r = make_folder(sink->fd, "blobs/sha256", err);
    return r < 0 ? r : open_folder(sink->fd, "blobs/sha256", &sink->blobs_fd, err);
}

static int prepare_locked(struct sl_oci_layout_sink *sink, struct sl_error *err)
{
    if (sink->blobs_fd >= 0)
        return 0;
    if (sink->fd >= 0) /* of an attempt that failed */
        (void)close(sink->fd);
    sink->fd = -1;
    return make_layout(sink, err);
}

int sl_oci_layout_sink_prepare(struct sl_oci_layout_sink *sink, struct sl_error *err)
{
    pthread_mutex_lock(&sink->lock);
    int r = prepare_locked(sink, err);
    pthread_mutex_unlock(&sink->lock);
    return r;
}

/* ---- blobs ---- */

/* "blobs/ALGORITHM/HEX" */
struct blob_path {
    char text[8 + 7 + 2 * SL_DIGEST_MAX];
};

static struct blob_path path_of(const struct sl_digest *digest)
{
    struct blob_path path;
    char hex[2 * SL_DIGEST_MAX + 1];
    sl_digest_hex(digest, hex);
    (void)snprintf(path.text, sizeof(path.text), "blobs/%s/%s", sl_digest_alg_name(digest->alg),
                   hex);
    return path;
}

/* For close(): a blob that was there before is not ours. */
static int note_blob(struct sl_oci_layout_sink *sink, const struct sl_digest *digest,
                     struct sl_error *err)
{
    pthread_mutex_lock(&sink->lock);
    struct sl_digest *larger = reallocarray(sink->blobs, sink->n_blobs + 1, sizeof(*larger));
    if (larger) {
        sink->blobs = larger;
        larger[sink->n_blobs++] = *digest;
    }
    pthread_mutex_unlock(&sink->lock);
    return larger ? 0 : sl_error_oom(err);
}

int sl_oci_layout_sink_name_blob(struct sl_oci_layout_sink *sink, struct sl_layout_file *file,
                                 const struct sl_digest *digest, struct sl_error *err)
{
    struct blob_path path = path_of(digest);
    int r = digest->alg == SL_SHA256 ? 0 : make_folder(sink->fd, "blobs/sha512", err);
    if (r == 0 && faccessat(sink->fd, path.text, F_OK, 0) < 0)
        r = note_blob(sink, digest, err);
    return r < 0 ? r : sl_layout_file_rename(file, sink->fd, path.text, err);
}

static int layout_has_blob(struct sl_sink *base, const struct sl_image_source *source,
                           const struct sl_descriptor *blob, struct sl_error *err)
{
    (void)source;
    struct sl_oci_layout_sink *sink = sink_of(base);
    int r = sl_oci_layout_sink_prepare(sink, err);
    if (r < 0)
        return r;
    struct stat st;
    /* One of another size was cut short, and will be replaced. */
    return fstatat(sink->fd, path_of(&blob->digest).text, &st, 0) == 0 && S_ISREG(st.st_mode) &&
           (uint64_t)st.st_size == blob->size;
}

static int layout_put_blob(struct sl_sink *base, struct sl_span bytes,
                           const struct sl_digest *digest, struct sl_error *err)
{
    struct sl_oci_layout_sink *sink = sink_of(base);
    SL_AUTO_DONE(sl_layout_file) file = {.fd = -1};
    int r = sl_oci_layout_sink_prepare(sink, err);
    if (r == 0)
        r = sl_layout_file_create(sink->blobs_fd, &file, err);
    if (r == 0)
        r = sl_layout_file_write(&file, bytes, err);
    if (r == 0)
        r = sl_layout_file_sync(&file, err);
    return r < 0 ? r : sl_oci_layout_sink_name_blob(sink, &file, digest, err);
}

/* ---- index.json ---- */

static int replace_index(struct sl_oci_layout_sink *sink, const struct sl_layout_entry *entry,
                         struct sl_error *err)
{
    SL_AUTO_DONE(sl_bytes) old = {0};
    SL_AUTO_DONE(sl_bytes) fresh = {0};
    int r = 0;
    if (faccessat(sink->fd, "index.json", F_OK, 0) == 0)
        r = sl_read_file(sink->fd, "index.json", SL_MANIFEST_MAX, &old, err);
    if (r == 0)
        r = sl_layout_index_put(sl_bytes_span(&old), entry, &fresh, err);
    if (r == 0)
        r = sl_layout_file_put(sink->fd, "index.json", sl_bytes_span(&fresh), err);
    if (r < 0)
        return r;
    sink->is_committed = true;
    if (fsync(sink->fd) < 0)
        return sl_error_system(err, errno, "index.json");
    return 0;
}

/* The folder is the lock: nothing needs to be left behind for it. */
static int put_entry(struct sl_oci_layout_sink *sink, const struct sl_layout_entry *entry,
                     struct sl_error *err)
{
    /* What the entry leads to must be on disk before it. */
    if (fsync(sink->blobs_fd) < 0)
        return sl_error_system(err, errno, "blobs/sha256");
    while (flock(sink->fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return sl_error_system(err, errno, "cannot lock %s", sink->dir);
    int r = replace_index(sink, entry, err);
    (void)flock(sink->fd, LOCK_UN);
    return r;
}

static int layout_put_manifest(struct sl_sink *base, struct sl_span bytes, const char *media_type,
                               const struct sl_digest *digest, bool named, struct sl_error *err)
{
    struct sl_oci_layout_sink *sink = sink_of(base);
    int r = layout_put_blob(base, bytes, digest, err);
    if (r < 0 || !named)
        return r;
    const struct sl_layout_entry entry = {
        .media_type = media_type, .digest = *digest, .size = bytes.len, .tag = sink->tag};
    return put_entry(sink, &entry, err);
}

/* ---- attachments ---- */

/* What is there is read as from any layout; one that is not there yet has nothing. */
static int layout_find_tag(struct sl_sink *base, const char *tag, struct sl_source_document *ret,
                           struct sl_error *err)
{
    struct sl_oci_layout_sink *sink = sink_of(base);
    SL_AUTO_FREE char *index = sl_strf("%s/index.json", sink->dir);
    struct sl_source *source = NULL;
    if (!index)
        return sl_error_oom(err);
    if (faccessat(AT_FDCWD, index, F_OK, 0) < 0 && errno == ENOENT)
        return 0;
    int r = sl_oci_layout_open(sink->dir, /* tag= */ NULL, &source, err);
    if (r < 0)
        return r;
    r = source->ops->attachments->by_tag(source, tag, ret, err);
    source->ops->close(source);
    return r;
}

static int layout_put_tagged(struct sl_sink *base, struct sl_span bytes, const char *media_type,
                             const struct sl_digest *digest, const char *tag, struct sl_error *err)
{
    const struct sl_layout_entry entry = {
        .media_type = media_type, .digest = *digest, .size = bytes.len, .tag = tag};
    int r = layout_put_blob(base, bytes, digest, err);
    return r < 0 ? r : put_entry(sink_of(base), &entry, err);
}

static int layout_put_referrer(struct sl_sink *base, struct sl_span bytes,
                               const struct sl_layout_entry *entry, const struct sl_digest *subject,
                               struct sl_error *err)
{
    (void)subject;
    int r = layout_put_blob(base, bytes, &entry->digest, err);
    return r < 0 ? r : put_entry(sink_of(base), entry, err);
}

/* ---- the sink ---- */

/* Folders that somebody else uses by now are not empty, and stay. */
static void remove_folders(char *dir, size_t made_from)
{
    while (strlen(dir) >= made_from && (rmdir(dir) == 0 || errno == ENOENT)) {
        char *slash = strrchr(dir, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
}

/* A layout without an index is nobody's yet: what we put into it goes. */
static void take_back(struct sl_oci_layout_sink *sink)
{
    if (sink->fd < 0 || sink->is_committed || !sink->made_version ||
        faccessat(sink->fd, "index.json", F_OK, 0) == 0)
        return;
    for (size_t i = 0; i < sink->n_blobs; i++)
        (void)unlinkat(sink->fd, path_of(&sink->blobs[i]).text, 0);
    (void)unlinkat(sink->fd, "blobs/sha256", AT_REMOVEDIR);
    (void)unlinkat(sink->fd, "blobs/sha512", AT_REMOVEDIR);
    if (unlinkat(sink->fd, "blobs", AT_REMOVEDIR) < 0)
        return;
    (void)unlinkat(sink->fd, "oci-layout", 0);
    if (sink->made_from)
        remove_folders(sink->dir, sink->made_from);
}

static void layout_close(struct sl_sink *base)
{
    struct sl_oci_layout_sink *sink = sink_of(base);
    take_back(sink);
    if (sink->blobs_fd >= 0)
        (void)close(sink->blobs_fd);
    if (sink->fd >= 0)
        (void)close(sink->fd);
    pthread_mutex_destroy(&sink->lock);
    free(sink->blobs);
    free(sink->dir);
    free(sink->tag);
    free(sink);
}

static const struct sl_sink_ops layout_ops = {
    .name = "oci",
    .has_blob = layout_has_blob,
    .put_blob = layout_put_blob,
    .put_manifest = layout_put_manifest,
    .upload = sl_oci_layout_upload,
    .find_tag = layout_find_tag,
    .put_tagged = layout_put_tagged,
    .put_referrer = layout_put_referrer,
    .close = layout_close,
};

int sl_oci_layout_sink_open(const char *dir, const char *tag, struct sl_sink **ret,
                            struct sl_error *err)
{
    struct sl_oci_layout_sink *sink = calloc(1, sizeof(*sink));
    if (!sink)
        return sl_error_oom(err);
    sink->base.ops = &layout_ops;
    pthread_mutex_init(&sink->lock, NULL);
    sink->fd = sink->blobs_fd = -1;
    sink->dir = strdup(dir);
    sink->tag = tag ? strdup(tag) : NULL;
    if (!sink->dir || (tag && !sink->tag)) {
        layout_close(&sink->base);
        return sl_error_oom(err);
    }
    *ret = &sink->base;
    return 0;
}
