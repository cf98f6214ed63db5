/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from whoever may push to an image's repository: a manifest beside it. */
#include "sluice/attachments.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_artifact) artifact = NULL;
    struct sl_error err;
    if (sl_artifact_parse((struct sl_span){data, size}, &artifact, &err) < 0)
        return 0;
    if (!artifact->artifact_type || !artifact->layers)
        abort();
    for (size_t i = 0; i < artifact->n_layers; i++)
        if (!artifact->layers[i].media_type)
            abort();
    return 0;
}
