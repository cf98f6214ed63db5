/* SPDX-License-Identifier: Apache-2.0 */
#include "staged_layer.h"

#include "sluice/core/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

int sl_staged_layer_new(struct sl_store *store, struct sl_staged_layer **ret, struct sl_error *err)
{
    SL_AUTO(sl_staged_layer) staged = calloc(1, sizeof(*staged));
    if (!staged)
        return sl_error_oom(err);
    *staged = (struct sl_staged_layer){.store = store,
                                       .entry = SL_STAGING_ENTRY_NONE,
                                       .fs = -1,
                                       .hold = -1,
                                       .opened_ns = sl_clock_ns(),
                                       .blob = SL_STAGING_ENTRY_NONE};
    int r = sl_staging_new_dir(store, &staged->entry, err);
    if (r < 0)
        return r;
    if (mkdirat(staged->entry.fd, "fs", 0755) == 0)
        staged->fs = openat(staged->entry.fd, "fs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Whatever the umask says: a root that no layer describes is 0755. */
    if (staged->fs < 0 || fchmod(staged->fs, 0755) < 0)
        return sl_error_system(err, errno, "creating %s/%s/fs", store->root, staged->entry.path);
    *ret = sl_steal(&staged);
    return 0;
}

struct sl_staged_layer *sl_staged_layer_free(struct sl_staged_layer *staged)
{
    if (!staged)
        return NULL;
    sl_cleanup_fdp(&staged->fs);
    sl_cleanup_fdp(&staged->hold);
    sl_staging_drop(staged->store, &staged->entry);
    sl_staging_drop(staged->store, &staged->blob);
    sl_layer_notes_done(&staged->notes);
    free(staged);
    return NULL;
}

int sl_staged_layer_fd(const struct sl_staged_layer *staged)
{
    return staged->fs;
}

void sl_staged_layer_note_written(struct sl_staged_layer *staged, uint64_t bytes)
{
    sl_early_sync_note(&staged->store->early_sync, bytes);
}

int sl_staged_layer_add_implicit(struct sl_staged_layer *staged, struct sl_span path,
                                 struct sl_error *err)
{
    return sl_path_list_add(&staged->notes.implicit, path, err);
}

int sl_staged_layer_add_whiteout_dir(struct sl_staged_layer *staged, struct sl_span path,
                                     struct sl_error *err)
{
    return sl_path_list_add(&staged->notes.whiteout_dirs, path, err);
}
