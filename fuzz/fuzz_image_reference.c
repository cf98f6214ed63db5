/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from whoever names an image: a user, or a pod's specification written by the
 * host. Whatever is accepted must be read the same way again once it has been formatted. */
#include "sluice/core/reference.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    SL_AUTO(sl_reference) ref = NULL;
    SL_AUTO(sl_reference) again = NULL;
    struct sl_error err;
    if (sl_reference_parse(text, &ref, &err) == 0) {
        char *first = sl_reference_format(ref);
        if (sl_reference_parse(first, &again, &err) != 0)
            abort();
        char *second = sl_reference_format(again);
        if (strcmp(first, second) != 0)
            abort();
        free(first);
        free(second);
    }
    free(text);
    return 0;
}
