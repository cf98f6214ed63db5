/* SPDX-License-Identifier: Apache-2.0 */
/* The operator, or an image builder, writes the configuration of key providers. */
#include "sluice/key_provider.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_providers) providers = NULL;
    struct sl_error err;
    if (sl_providers_parse((struct sl_span){data, size}, &providers, &err) < 0)
        return 0;
    const struct sl_provider *p;
    for (size_t i = 0; (p = sl_providers_at(providers, i)); i++) {
        bool is_cmd = p->transport == SL_PROVIDER_CMD;
        if (!p->name[0] || (is_cmd ? !p->argv || !p->argv[0] : !p->target) ||
            sl_providers_find(providers, p->name) != p)
            abort();
    }
    return 0;
}
