/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever may connect to the key provider we serve controls the request. */
#include "sluice/key_provider.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int op = SL_PROVIDER_WRAP; op <= SL_PROVIDER_UNWRAP; op++) {
        SL_AUTO_DONE(sl_provider_request) request = {0};
        struct sl_error err;
        int r = sl_provider_request_parse((struct sl_span){data, size}, (enum sl_provider_op)op,
                                          &request, &err);
        if (r == 0 && (request.payload.len == 0 || (int)request.op != op))
            abort();
        for (size_t i = 0; i < request.n_params; i++)
            if (!sl_provider_request_param(&request, request.params[i].name))
                abort();
    }
    return 0;
}
