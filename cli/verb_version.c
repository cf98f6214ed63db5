/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <stdio.h>

int verb_version(const struct cli_options *o, struct sl_error *err)
{
    if (!o->json) {
        printf("sluice %s\n", sluice_version());
        return 0;
    }
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ true);
    sl_json_put_string(w, "version", sluice_version());
    return cli_print_json(w, err);
}
