/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the key provider, and the servers we ask for keys, control these bytes. What was read
 * is written again and read the same. */
#include "sluice/rpc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_bytes field = {0}, packed = {0}, again = {0};
    struct sl_error err = {0};
    int r = sl_rpc_bytes_message_unpack((struct sl_span){data, size}, &field, &err);
    if (r < 0) {
        if (field.data || (err.code != SL_E_FORMAT && err.code != SL_E_LIMIT))
            abort();
        return 0;
    }
    if (field.len > size || sl_rpc_bytes_message_pack(sl_bytes_span(&field), &packed, &err) < 0 ||
        packed.len > size || sl_rpc_bytes_message_unpack(sl_bytes_span(&packed), &again, &err) < 0)
        abort();
    if (again.len != field.len || (field.len && memcmp(again.data, field.data, field.len) != 0))
        abort();
    sl_bytes_wipe(&field);
    sl_bytes_wipe(&packed);
    sl_bytes_wipe(&again);
    return 0;
}
