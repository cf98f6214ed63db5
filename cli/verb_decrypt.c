/* SPDX-License-Identifier: Apache-2.0 */
#include "convert_run.h"

int verb_decrypt(const struct cli_options *o, struct sl_error *err)
{
    return convert_run(o, sluice_decrypt, err);
}
