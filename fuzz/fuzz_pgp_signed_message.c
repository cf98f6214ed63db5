/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever holds the place where signatures lie controls these bytes. gpg sees only what passes
 * here, and what passes must pass again as it was unpacked. */
#include "pgp_signed_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_DONE(sl_pgp_signed_message) message = {0};
    SL_AUTO_DONE(sl_pgp_signed_message) again = {0};
    struct sl_error err;
    if (sl_pgp_signed_message_parse((struct sl_span){data, size}, &message, &err) < 0)
        return 0;
    if (sl_pgp_signed_message_parse(sl_bytes_span(&message.packets), &again, &err) < 0 ||
        again.packets.len != message.packets.len || again.version != message.version ||
        again.type != message.type || again.hash_algorithm != message.hash_algorithm)
        abort();
    return 0;
}
