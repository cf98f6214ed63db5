/* SPDX-License-Identifier: Apache-2.0 */
/* The attestation agent controls these bytes. */
#include "sluice/rpc.h"

#include <limits.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int result = INT_MAX;
    struct sl_error err = {0};
    int r = sl_measurement_answer_unpack((struct sl_span){data, size}, &result, &err);
    if (r < 0 && (result != INT_MAX || (err.code != SL_E_FORMAT && err.code != SL_E_LIMIT)))
        abort();
    if (r == 0 && size == 0 && result != 0)
        abort();
    return 0;
}
