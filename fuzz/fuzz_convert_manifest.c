/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry, and go to another one with some of their members changed. Each
 * layer that can be encrypted or decrypted is. */
#include "convert_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_manifest) manifest = NULL;
    struct sl_image_source src = {.texts = {{data, size}}, .n_texts = 1};
    struct sl_error err;
    if (sl_manifest_parse(src.texts[0], NULL, &manifest, &err) < 0)
        return 0;
    convert_and_check(&src, /* encrypts= */ true);
    if (stub_source_set_config(&src, manifest->n_layers, &err) == 0)
        convert_and_check(&src, /* encrypts= */ false);
    stub_source_done(&src);
    return 0;
}
