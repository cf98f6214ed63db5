/* SPDX-License-Identifier: Apache-2.0 */
#include "make_room.h"

#include "sluice/core/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void warn(const char *what, const struct sluice_error *err)
{
    sl_log_of(SL_LOG_WARN, &(struct sl_log_about){.code = sluice_code_name(err->code)}, "%s: %s",
              what, err->message);
}

static struct sluice_usage usage_of(struct sluice *sluice)
{
    struct sluice_usage usage = {.size = sizeof(usage)};
    sluice_get_usage(sluice, &usage);
    return usage;
}

/* True when something went. */
static bool collect(struct sluice *sluice)
{
    struct sluice_gc_result gone = {.size = sizeof(gone)};
    struct sluice_error err = {0};
    if (sluice_gc(sluice, /* dry_run= */ false, &gone, &err) < 0) {
        warn("cannot collect what nothing uses", &err);
        return false;
    }
    return gone.bytes > 0;
}

static int compare_age(const void *a, const void *b)
{
    const struct sluice_image *x = *(const struct sluice_image *const *)a;
    const struct sluice_image *y = *(const struct sluice_image *const *)b;
    return (x->pulled > y->pulled) - (x->pulled < y->pulled);
}

/* False: it is in use, or has gone already under another of its names. */
static bool remove_image(struct sluice *sluice, struct sl_image_claims *claims,
                         const struct sluice_image *image)
{
    struct sluice_error err = {0};
    if (!sl_image_claims_begin_removal(claims, image->manifest))
        return false;
    int r = sluice_remove(sluice, image->manifest, /* force= */ false, &err);
    sl_image_claims_end_removal(claims);
    if (r < 0 && err.errnum != EBUSY && err.errnum != ENOENT)
        warn("cannot remove an image for room", &err);
    if (r < 0)
        return false;
    sl_log_of(SL_LOG_INFO, &(struct sl_log_about){.image = image->name},
              "removed to make room, since nothing uses it: %s", image->manifest);
    return true;
}

static bool remove_oldest(struct sluice *sluice, struct sl_image_claims *claims,
                          const struct sluice_image **images, size_t n, uint64_t wanted,
                          bool has_gained)
{
    for (size_t i = 0; i < n && (!has_gained || usage_of(sluice).store_free_bytes < wanted); i++)
        if (remove_image(sluice, claims, images[i]))
            has_gained |= collect(sluice);
    return has_gained;
}

static bool remove_images(struct sluice *sluice, struct sl_image_claims *claims, uint64_t wanted,
                          bool has_gained)
{
    struct sluice_image_list *list = NULL;
    struct sluice_error err = {0};
    if (sluice_list(sluice, &list, &err) < 0) {
        warn("cannot list what could be removed for room", &err);
        return has_gained;
    }
    const struct sluice_image **images = calloc(list->n + 1, sizeof(struct sluice_image *));
    if (images) {
        memcpy(images, list->images, list->n * sizeof(struct sluice_image *));
        qsort(images, list->n, sizeof(struct sluice_image *), compare_age);
        has_gained = remove_oldest(sluice, claims, images, list->n, wanted, has_gained);
    }
    free(images);
    (void)sluice_image_list_free(list);
    return has_gained;
}

bool sl_make_room(struct sluice *sluice, struct sl_image_claims *claims, uint64_t needed,
                  uint64_t wanted)
{
    if (needed > usage_of(sluice).store_total_bytes)
        return false;
    bool has_gained = collect(sluice);
    return remove_images(sluice, claims, wanted, has_gained);
}
