/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_mount(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    struct sluice_error why = {0};
    int r = cli_open_store(o, &s, err);
    if (r < 0)
        return r;
    r = sluice_mount(s, o->args[0], o->args[1], o->read_only, &why);
    return sl_error_from_api(r, &why, err);
}
