/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from whoever built the image; their digest has been checked. */
#include "sluice/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_image_config) c = NULL;
    struct sl_error err;
    (void)!sl_image_config_parse((struct sl_span){data, size}, &c, &err);
    return 0;
}
