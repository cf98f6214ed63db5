/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

int verb_rm(const struct cli_options *o, struct sl_error *err)
{
    SL_AUTO(sluice) s = NULL;
    struct sluice_error why = {0};
    int r = cli_open_store(o, &s, err);
    if (r < 0)
        return r;
    for (int i = 0; r == 0 && i < o->n_args; i++)
        r = sluice_remove(s, o->args[i], o->force, &why);
    return sl_error_from_api(r, &why, err);
}
