/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes come from a registry or from whoever pushed to it; a manifest asked for by tag is
 * read before anything about it is known. */
#include "sluice/manifest.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_manifest) m = NULL;
    struct sl_error err;
    if (sl_manifest_parse((struct sl_span){data, size}, NULL, &m, &err) < 0)
        return 0;
    for (size_t i = 0; i < m->n_layers; i++) {
        struct sl_layer_media media;
        (void)sl_descriptor_annotation(&m->layers[i], "org.opencontainers.image.enc.pubopts");
        if (!m->layers[i].media_type)
            abort();
        if (sl_layer_media_parse(m->layers[i].media_type, &media, &err) < 0 && !err.msg[0])
            abort();
    }
    return 0;
}
