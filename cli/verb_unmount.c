/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_unmount(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    struct sluice_error why = {0};
    int r = cli_open_store(o, &s, err);
    return r < 0 ? r : sl_error_from_api(sluice_unmount(s, o->args[0], &why), &why, err);
}
