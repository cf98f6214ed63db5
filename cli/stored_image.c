/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"
#include "sluice/image_source.h"

#include <string.h>

int cli_open_store(const struct cli_options *o, struct sl_store **ret, struct sl_error *err)
{
    return sl_store_open(o->root ? o->root : SL_STORE_ROOT_DEFAULT, ret, err);
}

bool cli_is_digest(const char *text)
{
    return strncmp(text, "sha256:", 7) == 0 || strncmp(text, "sha512:", 7) == 0;
}

int cli_find_image(struct sl_store *store, const char *text, struct sl_image_record **ret,
                   struct sl_error *err)
{
    int r = sl_store_find_image(store, text, ret, err);
    if (r == 0 || cli_is_digest(text))
        return r;
    /* "busybox" as well as "docker.io/library/busybox:latest": the store knows canonical names. */
    SL_AUTO_FREE char *name = sl_image_canonical_name(text);
    if (name && sl_store_find_image(store, name, ret, /* err= */ NULL) == 0)
        return 0;
    return r;
}
