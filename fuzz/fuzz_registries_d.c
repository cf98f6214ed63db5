/* SPDX-License-Identifier: Apache-2.0 */
/* The first line is the name of an image, which comes from outside; the rest is a file of
 * registries.d, which may come from a key broker. */
#include "sluice/lookaside.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
    if (!eol)
        return 0;
    SL_AUTO_FREE char *name = strndup((const char *)data, (size_t)(eol - data));
    struct sl_span yaml = {eol + 1, size - (size_t)(eol - data) - 1};
    SL_AUTO(sl_registries_d) config = NULL;
    struct sl_lookaside found = {0};
    struct sl_error err;
    if (!name || sl_registries_d_parse(yaml, "fuzz.yaml", size % 2, &config, &err) < 0)
        return 0;
    if (sl_registries_d_find(config, name, &found, &err) == 0 &&
        (!found.read_url || !found.write_url))
        abort();
    return 0;
}
