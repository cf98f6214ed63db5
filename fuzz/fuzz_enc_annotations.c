/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever writes the manifest controls these bytes: lines NAME=VALUE are the annotations of a
 * layer, looked at and unwrapped with an empty key ring. */
#include "sluice/key_unwrap.h"

#include <stdlib.h>
#include <string.h>

enum { PAIRS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO_FREE char *text = strndup((const char *)data, size);
    SL_AUTO(sl_enc_annotations) a = NULL;
    SL_AUTO(sl_key_ring) ring = NULL;
    struct sl_pair pairs[PAIRS_MAX];
    struct sl_layer_key key;
    struct sl_error err;
    size_t n = 0;
    char *rest = text;
    for (char *line; n < PAIRS_MAX && (line = strsep(&rest, "\n")) != NULL;) {
        char *name = strsep(&line, "=");
        if (line)
            pairs[n++] = (struct sl_pair){name, line};
    }
    if (sl_enc_annotations_parse(pairs, n, &a, &err) < 0 || sl_key_ring_new(&ring, &err) < 0)
        return 0;
    struct sl_wrapped_key_info info;
    for (size_t i = 0; sl_enc_annotations_info(a, i, &info, &err) == 1; i++)
        if (!info.protocol || !memchr(info.kid, 0, sizeof(info.kid)))
            abort();
    if (sl_key_ring_unwrap(ring, a, &key, NULL, &err) == 0)
        abort();
    return 0;
}
