/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/wiping_heap.h"

#include "sluice/core/bytes.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void *sl_wiping_realloc(void *p, size_t size)
{
    void *moved = malloc(size);
    size_t old = malloc_usable_size(p);
    if (!moved || !p)
        return moved;
    memcpy(moved, p, old < size ? old : size);
    sl_wiping_free(p);
    return moved;
}

void sl_wiping_free(void *p)
{
    int saved = errno;
    sl_wipe(p, malloc_usable_size(p));
    free(p);
    errno = saved;
}
