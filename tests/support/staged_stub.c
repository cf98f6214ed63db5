/* SPDX-License-Identifier: Apache-2.0 */
#include "staged_stub.h"

#include <stdlib.h>

int sl_staged_layer_fd(const struct sl_staged_layer *staged)
{
    return staged->fd;
}

void sl_staged_layer_note_written(struct sl_staged_layer *staged, uint64_t bytes)
{
    (void)staged, (void)bytes;
}

int sl_staged_layer_add_implicit(struct sl_staged_layer *staged, struct sl_span path,
                                 struct sl_error *err)
{
    if (staged->n_implicit == sizeof(staged->implicit) / sizeof(staged->implicit[0]))
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "the stub is full");
    char *copy = sl_strf("%.*s", (int)path.len, path.len ? (const char *)path.data : "");
    if (!copy)
        return sl_error_oom(err);
    staged->implicit[staged->n_implicit++] = copy;
    return 0;
}

int sl_staged_layer_add_whiteout_dir(struct sl_staged_layer *staged, struct sl_span path,
                                     struct sl_error *err)
{
    (void)staged, (void)path, (void)err;
    return 0;
}

void staged_stub_done(struct sl_staged_layer *staged)
{
    for (size_t i = 0; i < staged->n_implicit; i++)
        free(staged->implicit[i]);
}
