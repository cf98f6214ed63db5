/* SPDX-License-Identifier: Apache-2.0 */
#include "pgp_signed_message.h"

int sl_pgp_signed_message_parse(struct sl_span message, struct sl_pgp_signed_message *ret,
                                struct sl_error *err)
{
    (void)message;
    (void)ret;
    return sl_error_set(err, SL_E_UNSUPPORTED, ENOTSUP, "not yet");
}
