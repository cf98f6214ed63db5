/* SPDX-License-Identifier: Apache-2.0 */
#include "whiteout.h"

#include "entry_attrs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char prefix[] = ".wh.";
static const char meta_prefix[] = ".wh..wh.";
static const char plnk_prefix[] = SL_PLNK_NAME "/";
static const char opaque_name[] = ".wh..wh..opq";

enum { PREFIX_LEN = sizeof(prefix) - 1, META_PREFIX_LEN = sizeof(meta_prefix) - 1 };

static int classify_base(const char *base, enum sl_whiteout_kind *ret, struct sl_error *err)
{
    *ret = SL_WHITEOUT_NONE;
    if (strncmp(base, prefix, PREFIX_LEN) != 0)
        return 0;
    if (strcmp(base, opaque_name) == 0) {
        *ret = SL_WHITEOUT_OPAQUE;
        return 0;
    }
    if (strncmp(base, meta_prefix, META_PREFIX_LEN) == 0) {
        *ret = SL_WHITEOUT_IGNORED;
        return 0;
    }
    const char *hidden = base + PREFIX_LEN;
    if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "a whiteout of nothing");
    *ret = SL_WHITEOUT_NAME;
    return 0;
}

int sl_whiteout_classify(const struct sl_clean_path *path, enum sl_whiteout_kind *ret,
                         struct sl_error *err)
{
    const char *p = path->text, *end = path->text + path->base;
    if (strncmp(p, plnk_prefix, sizeof(plnk_prefix) - 1) == 0) {
        *ret = SL_WHITEOUT_PLNK;
        return 0;
    }
    while ((p = memmem(p, (size_t)(end - p), prefix, PREFIX_LEN))) {
        if (p == path->text || p[-1] == '/') {
            if (strncmp(p, meta_prefix, META_PREFIX_LEN) == 0) {
                *ret = SL_WHITEOUT_IGNORED;
                return 0;
            }
            return sl_error_set(err, SL_E_FORMAT, EINVAL, "an entry below a whiteout");
        }
        p++;
    }
    return classify_base(sl_clean_path_base(path), ret, err);
}

void sl_whiteouts_done(struct sl_whiteouts *whiteouts)
{
    free(whiteouts->notes);
    sl_bytes_done(&whiteouts->names);
    sl_bytes_done(&whiteouts->noted);
    *whiteouts = (struct sl_whiteouts){0};
}

static int reserve(struct sl_whiteouts *w, size_t name_len, struct sl_error *err)
{
    size_t used = w->n * sizeof(*w->notes) + w->names.len;
    if (used + sizeof(*w->notes) + name_len > SL_WHITEOUTS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the whiteouts of the layer exceed %zu bytes of memory",
                            SL_WHITEOUTS_MAX);
    if (w->n < w->cap)
        return 0;
    size_t cap = w->cap ? w->cap + w->cap / 2 : 32;
    struct sl_whiteout_note *more = realloc(w->notes, cap * sizeof(*more));
    if (!more)
        return sl_error_oom(err);
    w->notes = more;
    w->cap = cap;
    return 0;
}

static uint32_t depth_of(struct sl_span path)
{
    uint32_t depth = 1;
    for (size_t i = 0; i < path.len; i++)
        depth += path.data[i] == '/';
    return depth;
}

int sl_whiteouts_add(struct sl_whiteouts *whiteouts, const struct sl_clean_path *path,
                     enum sl_whiteout_kind kind, struct sl_error *err)
{
    struct sl_span whole = sl_clean_path_span(path);
    struct sl_whiteout_note note = {
        .name_at = whiteouts->names.len,
        .depth = depth_of(whole),
        .is_opaque = kind == SL_WHITEOUT_OPAQUE,
    };
    /* The name it hides; a marker keeps its own, which stands for any name in its directory. */
    size_t cut = note.is_opaque ? 0 : PREFIX_LEN;
    struct sl_span head = {whole.data, path->base};
    struct sl_span tail = {whole.data + path->base + cut, whole.len - path->base - cut};
    int r = reserve(whiteouts, whole.len, err);
    if (r >= 0)
        r = sl_bytes_append(&whiteouts->names, head, SL_WHITEOUTS_MAX, err);
    if (r >= 0)
        r = sl_bytes_append(&whiteouts->names, tail, SL_WHITEOUTS_MAX, err);
    if (r < 0)
        return r;
    note.name_len = (uint32_t)(head.len + tail.len);
    whiteouts->notes[whiteouts->n++] = note;
    return 0;
}

/* From the top down, so that what hides or empties a directory comes before what concerns names
 * in it; a marker before the names beside it. */
static int by_depth(const void *a, const void *b)
{
    const struct sl_whiteout_note *x = a, *y = b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->is_opaque != y->is_opaque)
        return x->is_opaque ? -1 : 1;
    return x->name_at < y->name_at ? -1 : 1;
}

/* Whether this directory or one above it, up to the root, hides all that is below it. */
static int is_below_opaque(int dirfd, int root_fd, struct sl_error *err)
{
    struct stat root, st;
    if (fstat(root_fd, &root) < 0)
        return sl_error_system(err, errno, "the root of the layer");
    SL_AUTO_FD fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && fstat(fd, &st) == 0) {
        if (sl_attrs_is_opaque(fd))
            return 1;
        if (st.st_ino == root.st_ino && st.st_dev == root.st_dev)
            return 0;
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        (void)close(fd);
        fd = up;
    }
    return sl_error_system(err, errno, "open a parent directory");
}

/* Whether nothing below can be seen at the path anyway: an opaque directory lies above it, or
 * (ENOTDIR) something that is not a directory. */
static int is_moot(const struct sl_whiteouts *w, struct sl_path_guard *guard, int root_fd,
                   const struct sl_clean_path *path, struct sl_error *err)
{
    struct sl_place place = {.dirfd = root_fd};
    SL_AUTO_DONE(sl_clean_path) above = {0};
    struct sl_error why;
    int r = sl_clean_path_set(&above, sl_clean_path_span(path), UINT_MAX, err);
    if (r < 0)
        return r;
    while ((r = sl_path_guard_find(guard, &above, &place, &why)) == -ENOENT && above.base) {
        above.len = above.base - 1;
        r = sl_clean_path_set(&above, sl_clean_path_span(&above), UINT_MAX, err);
        if (r < 0)
            return r;
    }
    if (r == -ENOTDIR)
        return 1;
    if (r < 0) {
        if (err)
            *err = why;
        return r;
    }
    return w->any_opaque ? is_below_opaque(place.dirfd, root_fd, err) : 0;
}

static int make_opaque(struct sl_whiteouts *w, int fd, struct sl_error *err)
{
    w->any_opaque = true;
    return sl_attrs_make_opaque(fd, err);
}

/* Tells staged of the directory once: its whiteouts mostly come together. */
static int note_dir(struct sl_whiteouts *w, const struct sl_clean_path *path,
                    struct sl_staged_layer *staged, struct sl_error *err)
{
    struct sl_span dir = {sl_clean_path_span(path).data, path->base ? path->base - 1 : 0};
    if (w->any_noted && dir.len == w->noted.len &&
        (dir.len == 0 || memcmp(dir.data, w->noted.data, dir.len) == 0))
        return 0;
    w->any_noted = true;
    w->noted.len = 0;
    int r = sl_bytes_append(&w->noted, dir, SL_WHITEOUTS_MAX, err);
    return r < 0 ? r : sl_staged_layer_add_whiteout_dir(staged, dir, err);
}

/* A directory that was removed and is there again owes nothing to the one below. */
static int make_new(struct sl_whiteouts *w, int fd, const struct sl_clean_path *path,
                    struct sl_dir_ledger *dirs, struct sl_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return sl_error_system(err, errno, "directory '%s'", path->text);
    const struct sl_dir_note note = {.is_new = true, .inode = st.st_ino};
    int r = make_opaque(w, fd, err);
    return r < 0 ? r : sl_dir_ledger_add(dirs, sl_clean_path_span(path), &note, err);
}

/* 1 when it is there, 0 when none is needed. */
static int make_whiteout(struct sl_whiteouts *w, const struct sl_place *place,
                         const struct sl_clean_path *path, struct sl_dir_ledger *dirs,
                         struct sl_error *err)
{
    /* The same tree from the same layer, always: so the epoch, as for implicit directories. */
    static const struct timespec epoch[2];
    if (mknodat(place->dirfd, place->base, S_IFCHR, makedev(0, 0)) == 0)
        return utimensat(place->dirfd, place->base, epoch, AT_SYMLINK_NOFOLLOW) < 0
                   ? sl_error_system(err, errno, "set the times of a whiteout")
                   : 1;
    if (errno != EEXIST)
        return sl_error_system(err, errno, "make the whiteout of '%s'", place->base);
    /* The layer has the name itself, and so hides it already: unless it is a directory, which
     * would be merged with what lies below. */
    SL_AUTO_FD fd = openat(place->dirfd, place->base,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0)
        return make_new(w, fd, path, dirs, err);
    if (errno == ENOTDIR || errno == ELOOP)
        return 0;
    return sl_error_system(err, errno, "open the directory '%s'", place->base);
}

static int settle_one(struct sl_whiteouts *w, struct sl_path_guard *guard,
                      struct sl_staged_layer *staged, struct sl_dir_ledger *dirs,
                      const struct sl_whiteout_note *note, const struct sl_clean_path *path,
                      struct sl_error *err)
{
    struct sl_place place;
    int r = is_moot(w, guard, sl_staged_layer_fd(staged), path, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = sl_path_guard_make(guard, path, &place, err);
    if (r < 0)
        return r;
    if (note->is_opaque)
        return make_opaque(w, place.dirfd, err);
    r = make_whiteout(w, &place, path, dirs, err);
    return r > 0 ? note_dir(w, path, staged, err) : r;
}

int sl_whiteouts_settle(struct sl_whiteouts *whiteouts, struct sl_path_guard *guard,
                        struct sl_staged_layer *staged, struct sl_dir_ledger *dirs,
                        struct sl_error *err)
{
    SL_AUTO_DONE(sl_clean_path) path = {0};
    int r = 0;
    if (whiteouts->n)
        qsort(whiteouts->notes, whiteouts->n, sizeof(*whiteouts->notes), by_depth);
    for (size_t i = 0; r >= 0 && i < whiteouts->n; i++) {
        const struct sl_whiteout_note *note = &whiteouts->notes[i];
        struct sl_span name = {whiteouts->names.data + note->name_at, note->name_len};
        r = sl_clean_path_set(&path, name, UINT_MAX, err);
        if (r >= 0)
            r = settle_one(whiteouts, guard, staged, dirs, note, &path, err);
        if (r < 0)
            return sl_error_wrap(err, r, "whiteout '%.256s'", path.text);
    }
    return 0;
}
