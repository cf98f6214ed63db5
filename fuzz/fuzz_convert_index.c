/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry: an index, and what it lists, separated by zeros. The first byte
 * of a digest says which. */
#include "convert_fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void split(const uint8_t *data, size_t size, struct sl_image_source *ret)
{
    while (ret->n_texts < STUB_TEXTS_MAX) {
        const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
        size_t len = end ? (size_t)(end - data) : size;
        ret->texts[ret->n_texts++] = (struct sl_span){data, len};
        if (!end)
            return;
        data = end + 1;
        size -= len + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_image_source src = {0};
    split(data, size, &src);
    convert_and_check(&src, /* encrypts= */ true);
    convert_and_check(&src, /* encrypts= */ false);
    return 0;
}
