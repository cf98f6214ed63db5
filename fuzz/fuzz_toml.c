/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration text. Who controls it: the operator, or in a guest the host, which can hand over
 * a configuration file; a key broker for registry rules fetched by URI. */
#include "sluice/core/toml.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_error err;
    int r = sl_toml_parse((struct sl_span){data, size}, "fuzz", &doc, &err);
    if ((r == 0) != (doc != NULL))
        abort();
    return 0;
}
