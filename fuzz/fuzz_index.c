/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry or from whoever pushed to it, or are the index.json of a layout
 * somebody handed over. */
#include "index.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char os[] = "linux", amd64[] = "amd64", arm[] = "arm", v7[] = "v7";
    static const struct sl_platform wants[] = {
        {.os = os, .architecture = amd64},
        {.os = os, .architecture = arm, .variant = v7},
    };
    SL_AUTO(sl_index) index = NULL;
    struct sl_error err;
    if (sl_index_parse((struct sl_span){data, size}, NULL, &index, &err) < 0)
        return 0;
    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        const struct sl_index_entry *entry = NULL;
        if (sl_index_select(index, &wants[i], &entry, &err) == 0 &&
            (entry < index->entries || entry >= index->entries + index->n_entries))
            abort();
    }
    return 0;
}
