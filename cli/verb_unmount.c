/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <string.h>
#include <unistd.h>

/* A bundle is named by its folder: the mount is its rootfs. */
int verb_unmount(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sl_store) store = NULL;
    int r = cli_open_store(o, &store, err);
    if (r < 0)
        return r;
    SL_AUTO_FREE char *rootfs = sl_strf("%s/rootfs", o->args[0]);
    SL_AUTO_FREE char *config = sl_strf("%s/config.json", o->args[0]);
    if (!rootfs || !config)
        return sl_error_oom(err);
    if (access(config, F_OK) != 0 || access(rootfs, F_OK) != 0)
        return sl_store_unmount(store, o->args[0], err);
    r = sl_store_unmount(store, rootfs, err);
    if (r < 0)
        return r;
    (void)rmdir(rootfs);
    (void)unlink(config);
    return 0;
}
