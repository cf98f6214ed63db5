/* SPDX-License-Identifier: Apache-2.0 */
/* What others say of an image, for those who only look. */
#include "engine.h"

#include <stdlib.h>
#include <string.h>

static int resolve(struct sl_image_source *source, const struct sl_platform *platform,
                   struct sl_inspected_image *ret, struct sl_error *err)
{
    SL_AUTO(sl_resolved_image) image = NULL;
    int r = sl_image_source_resolve(source, platform, &image, err);
    if (r < 0)
        return r;
    char *name = strdup(sl_image_source_name(source));
    if (!name)
        return sl_error_oom(err);
    *ret = (struct sl_inspected_image){.name = name, .image = sl_steal(&image)};
    return 0;
}

int sl_inspect_image(struct sl_engine *engine, const char *image,
                     const struct sl_platform *platform, int cancel_fd,
                     struct sl_inspected_image *ret, struct sl_error *err)
{
    SL_AUTO_DONE(sl_visit) visit = {0};
    struct sl_image_source *source = NULL;
    int r = sl_visit_open(engine, cancel_fd, &visit, err);
    if (r == 0)
        r = sl_visit_open_source(&visit, image, &source, err);
    if (r == 0)
        r = resolve(source, platform, ret, err);
    (void)sl_visit_close_source(&visit, source);
    return r;
}

void sl_inspected_image_done(struct sl_inspected_image *inspected)
{
    free(inspected->name);
    (void)sl_resolved_image_free(inspected->image);
    *inspected = (struct sl_inspected_image){0};
}
