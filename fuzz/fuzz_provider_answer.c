/* SPDX-License-Identifier: Apache-2.0 */
/* A key provider, a program or a service of somebody else, controls the answer. What is read and
 * written again must read the same. */
#include "provider_messages.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = SL_PROVIDER_WRAP; i <= SL_PROVIDER_UNWRAP; i++) {
        enum sl_provider_op op = (enum sl_provider_op)i;
        SL_AUTO_DONE(sl_bytes) got = {0};
        SL_AUTO_DONE(sl_bytes) written = {0};
        SL_AUTO_DONE(sl_bytes) again = {0};
        struct sl_error err;
        if (sl_provider_answer_parse(op, (struct sl_span){data, size}, &got, &err) < 0)
            continue;
        if (sl_provider_answer_write(op, sl_bytes_span(&got), &written, &err) < 0 ||
            sl_provider_answer_parse(op, sl_bytes_span(&written), &again, &err) < 0 ||
            again.len != got.len || memcmp(again.data, got.data, got.len) != 0)
            abort();
    }
    return 0;
}
