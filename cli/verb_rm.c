/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_rm(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sl_store) store = NULL;
    int r = cli_open_store(o, &store, err);
    for (int i = 0; r == 0 && i < o->n_args; i++) {
        SL_AUTO(sl_image_record) image = NULL;
        r = cli_find_image(store, o->args[i], &image, err);
        if (r == 0)
            r = sl_store_remove_image(store, cli_is_digest(o->args[i]) ? o->args[i] : image->name,
                                      o->force, err);
    }
    return r;
}
