/* SPDX-License-Identifier: Apache-2.0 */
#include "pull.h"

/* Blobs are mostly smaller than what they unpack to, so this is a lower bound. The same blob twice
 * is counted twice at most when the image lists it twice, which nobody does with large ones. */
static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* What others fetch already has its space, or fails there. */
static int missing_bytes(const struct pull *pull, bool without_locked, uint64_t *ret,
                         struct sl_error *err)
{
    *ret = 0;
    for (size_t i = 0; i < pull->n_layers; i++) {
        const struct layer *l = &pull->layers[i];
        if (l->report->state != SL_LAYER_WAITING)
            continue;
        int r = without_locked ? sl_store_is_layer_locked(pull->engine->store, l->diff_id, err) : 0;
        if (r < 0)
            return r;
        if (r == 0)
            *ret = add(*ret, l->blob->size);
    }
    return 0;
}

int sl_pull_check_space(struct pull *pull, struct sl_error *err)
{
    struct sl_store *store = pull->engine->store;
    uint64_t needed = 0, free_bytes = 0;
    int r = missing_bytes(pull, /* without_locked= */ false, &needed, err);
    if (r == 0)
        r = sl_store_free_bytes(store, &free_bytes, err);
    if (r <= 0 || needed <= free_bytes)
        return r < 0 ? r : 0;
    r = missing_bytes(pull, /* without_locked= */ true, &needed, err);
    if (r < 0 || needed <= free_bytes)
        return r;
    return sl_error_system(
        err, ENOSPC,
        "the image needs at least %llu bytes and the store %s has %llu free; " SL_PULL_ROOM_ADVICE,
        (unsigned long long)needed, sl_store_root(store), (unsigned long long)free_bytes);
}
