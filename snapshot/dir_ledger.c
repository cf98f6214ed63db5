/* SPDX-License-Identifier: Apache-2.0 */
#include "dir_ledger.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

void sl_dir_ledger_done(struct sl_dir_ledger *ledger)
{
    free(ledger->notes);
    sl_bytes_done(&ledger->names);
    *ledger = (struct sl_dir_ledger){0};
}

static int reserve(struct sl_dir_ledger *ledger, size_t name_len, struct sl_error *err)
{
    size_t used = ledger->n * sizeof(*ledger->notes) + ledger->names.len;
    if (used + sizeof(*ledger->notes) + name_len > SL_DIR_LEDGER_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the directories of the layer exceed %zu bytes of memory",
                            SL_DIR_LEDGER_MAX);
    if (ledger->n < ledger->cap)
        return 0;
    size_t cap = ledger->cap ? ledger->cap + ledger->cap / 2 : 64;
    struct sl_dir_note *more = realloc(ledger->notes, cap * sizeof(*more));
    if (!more)
        return sl_error_oom(err);
    ledger->notes = more;
    ledger->cap = cap;
    return 0;
}

int sl_dir_ledger_add(struct sl_dir_ledger *ledger, struct sl_span path,
                      const struct sl_dir_note *note, struct sl_error *err)
{
    int r = reserve(ledger, path.len, err);
    size_t at = ledger->names.len;
    if (r >= 0)
        r = sl_bytes_append(&ledger->names, path, SL_DIR_LEDGER_MAX, err);
    if (r < 0)
        return r;
    struct sl_dir_note *to = &ledger->notes[ledger->n++];
    *to = *note;
    to->name_at = at;
    to->name_len = (uint32_t)path.len;
    return 0;
}

static int by_inode(const void *a, const void *b, void *notes)
{
    const struct sl_dir_note *all = notes;
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    if (all[i].inode != all[j].inode)
        return all[i].inode < all[j].inode ? -1 : 1;
    return (i > j) - (i < j);
}

static void supersede(struct sl_dir_note *earlier, struct sl_dir_note *later)
{
    if (earlier->inode != later->inode)
        return;
    if (later->is_new)
        earlier->is_implicit = false;
    (later->is_new ? later : earlier)->is_superseded = true;
}

static int mark_superseded(struct sl_dir_ledger *ledger, struct sl_error *err)
{
    SL_AUTO_FREE size_t *order = malloc(ledger->n * sizeof(*order));
    if (!order)
        return sl_error_oom(err);
    for (size_t i = 0; i < ledger->n; i++)
        order[i] = i;
    qsort_r(order, ledger->n, sizeof(*order), by_inode, ledger->notes);
    for (size_t i = 0; i + 1 < ledger->n; i++)
        supersede(&ledger->notes[order[i]], &ledger->notes[order[i + 1]]);
    return 0;
}

/* 1 when the directory is still there under this name. */
static int set_times(const struct sl_dir_note *note, const struct sl_clean_path *path,
                     struct sl_path_guard *guard, int root_fd, struct sl_error *err)
{
    struct sl_place place = {.dirfd = root_fd, .base = "."};
    struct stat st;
    if (path->len) {
        struct sl_error why;
        int r = sl_path_guard_find(guard, path, &place, &why);
        if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP) /* gone, or a loop of symlinks now */
            return 0;
        if (r < 0) {
            if (err)
                *err = why;
            return r;
        }
    }
    if (fstatat(place.dirfd, place.base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return sl_error_system(err, errno, "directory '%s'", path->text);
    }
    if (!S_ISDIR(st.st_mode) || st.st_ino != note->inode)
        return 0;
    const struct timespec times[2] = {note->atime, note->mtime};
    if (utimensat(place.dirfd, place.base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return sl_error_system(err, errno, "set the times of directory '%s'", path->text);
    return 1;
}

int sl_dir_ledger_settle(struct sl_dir_ledger *ledger, struct sl_path_guard *guard,
                         struct sl_staged_layer *staged, struct sl_error *err)
{
    SL_AUTO_DONE(sl_clean_path) path = {0};
    int r = ledger->n ? mark_superseded(ledger, err) : 0;
    for (size_t i = 0; r >= 0 && i < ledger->n; i++) {
        const struct sl_dir_note *note = &ledger->notes[i];
        if (note->is_superseded)
            continue;
        struct sl_span name = {ledger->names.data + note->name_at, note->name_len};
        r = sl_clean_path_set(&path, name, UINT_MAX, err);
        if (r >= 0)
            r = set_times(note, &path, guard, sl_staged_layer_fd(staged), err);
        if (r > 0 && note->is_implicit)
            r = sl_staged_layer_add_implicit(staged, name, err);
    }
    return r < 0 ? r : 0;
}
