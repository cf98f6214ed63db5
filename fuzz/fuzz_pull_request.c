/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever may connect to the service's socket controls these bytes. What is accepted is text within
 * its limits. */
#include "sluice/rpc.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_pull_request request = {0};
    struct sl_error err = {0};
    int r = sl_pull_request_unpack((struct sl_span){data, size}, &request, &err);
    if (r < 0 && (request.image_url || request.bundle_path ||
                  (err.code != SL_E_FORMAT && err.code != SL_E_LIMIT)))
        abort();
    if (r == 0 && (strlen(request.image_url) > SL_PULL_IMAGE_MAX ||
                   strlen(request.bundle_path) > SL_PULL_BUNDLE_MAX ||
                   strlen(request.image_url) + strlen(request.bundle_path) > size))
        abort();
    sl_pull_request_done(&request);
    return 0;
}
