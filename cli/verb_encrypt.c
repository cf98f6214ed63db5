/* SPDX-License-Identifier: Apache-2.0 */
#include "convert_run.h"

int verb_encrypt_check(const struct cli_options *o, struct sl_error *err)
{
    if (o->encryption_keys)
        return 0;
    return sl_error_set(err, SL_E_FORMAT, EINVAL,
                        "encrypt needs --encryption-key; see sluice encrypt --help");
}

int verb_encrypt(const struct cli_options *o, struct sl_error *err)
{
    return convert_run(o, sluice_encrypt, err);
}
