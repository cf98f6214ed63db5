/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever writes the manifest controls these bytes: one decoded element of enc.keys.pgp. gpg sees
 * only what passes here. */
#include "pgp_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_pgp_message message = {0};
    struct sl_error err;
    if (sl_pgp_message_parse((struct sl_span){data, size}, &message, &err) == 0 &&
        message.n_recipients == 0)
        abort();
    return 0;
}
