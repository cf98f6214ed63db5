/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_mount(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sl_store) store = NULL;
    SL_AUTO(sl_image_record) image = NULL;
    int r = cli_open_store(o, &store, err);
    if (r < 0)
        return r;
    r = cli_find_image(store, o->args[0], &image, err);
    if (r < 0)
        return r;
    const struct sl_mount_options options = {.read_only = o->read_only};
    return sl_store_mount(store, image, o->args[1], &options, err);
}
