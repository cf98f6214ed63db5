/* SPDX-License-Identifier: Apache-2.0 */
#include "layer_stack.h"

#include "sluice/core/limits.h"
#include "store_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

enum { LAYER_RECORD_MAX = 4 * SL_NOTES_BYTES_MAX + 32 * SL_NOTES_COUNT_MAX }; /* bytes */

bool sl_is_opaque(int fd)
{
    char value[2];
    return fgetxattr(fd, "trusted.overlay.opaque", value, sizeof(value)) == 1 && value[0] == 'y';
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

bool sl_stack_layer_is_implicit(const struct sl_stack_layer *layer, const char *path)
{
    const struct sl_path_list *list = &layer->notes.implicit;
    return list->n > 0 && bsearch(&path, list->paths, list->n, sizeof(*list->paths), compare_paths);
}

int sl_stack_layer_open(const struct sl_store *store, const struct sl_stack_layer *layer, int *ret,
                        struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    sl_store_path(path, "layers", &layer->diff_id, "/fs");
    int fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_error_system(err, errno, "opening %s/%s", store->root, path);
    *ret = fd;
    return 0;
}

static int load_notes(const struct sl_store *store, struct sl_stack_layer *layer,
                      struct sl_error *err)
{
    char path[SL_STORE_PATH_MAX];
    SL_AUTO_DONE(sl_bytes) text = {0};
    sl_store_path(path, "layers", &layer->diff_id, "/layer.json");
    int r = sl_read_file(store->fd, path, LAYER_RECORD_MAX, &text, err);
    if (r == -ENOENT)
        return sl_error_set(err, SL_E_SYSTEM, ENOENT, "%s/%s is missing (pull the image again)",
                            store->root, path);
    if (r == 0)
        r = sl_layer_record_parse(sl_bytes_span(&text), &layer->diff_id, &layer->notes, err);
    if (r < 0)
        return sl_error_wrap(err, r, "%s/%s", store->root, path);
    struct sl_path_list *list = &layer->notes.implicit;
    if (list->n > 0)
        qsort(list->paths, list->n, sizeof(*list->paths), compare_paths);
    return 0;
}

static bool has_layer(const struct sl_layer_stack *stack, const struct sl_digest *diff_id)
{
    for (size_t i = 0; i < stack->n; i++)
        if (sl_digest_is_equal(&stack->layers[i].diff_id, diff_id))
            return true;
    return false;
}

/* 1 when no layer below this one can be seen. */
static int push(const struct sl_store *store, struct sl_layer_stack *stack,
                const struct sl_digest *diff_id, struct sl_error *err)
{
    if (stack->n == SL_LAYERS_MAX)
        return sl_error_set(err, SL_E_LIMIT, E2BIG,
                            "the image has more than %d different layers, which overlayfs cannot "
                            "stack",
                            SL_LAYERS_MAX);
    struct sl_stack_layer *layer = &stack->layers[stack->n++];
    *layer = (struct sl_stack_layer){.diff_id = *diff_id};
    int r = load_notes(store, layer, err);
    SL_AUTO_FD fd = -1;
    if (r == 0)
        r = sl_stack_layer_open(store, layer, &fd, err);
    return r < 0 ? r : sl_is_opaque(fd);
}

/*
 * Of a layer that comes twice only the topmost copy is stacked (overlayfs refuses both), and that
 * changes nothing: whatever the lower copy shows or hides at a path, the upper copy shows or hides
 * in the same way; the upper copy lies above all layers in between; and a path that it does not
 * mention is one the lower copy does not mention either. So for every path the topmost layer that
 * decides is the same with and without the lower copy, and so is every directory that merges.
 *
 * Overlayfs merges the roots of all layers, whatever their marks: a layer whose root is opaque has
 * to be the lowest.
 */
int sl_layer_stack_load(const struct sl_store *store, const struct sl_digest *diff_ids, size_t n,
                        struct sl_layer_stack *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_layer_stack) stack = {0};
    stack.layers = calloc(SL_LAYERS_MAX, sizeof(*stack.layers));
    if (!stack.layers)
        return sl_error_oom(err);
    int r = 0;
    for (size_t i = n; i-- > 0 && r == 0;)
        if (!has_layer(&stack, &diff_ids[i]))
            r = push(store, &stack, &diff_ids[i], err);
    if (r < 0)
        return r;
    *ret = stack;
    stack = (struct sl_layer_stack){0};
    return 0;
}

void sl_layer_stack_done(struct sl_layer_stack *stack)
{
    for (size_t i = 0; i < stack->n; i++)
        sl_layer_notes_done(&stack->layers[i].notes);
    free(stack->layers);
    *stack = (struct sl_layer_stack){0};
}
