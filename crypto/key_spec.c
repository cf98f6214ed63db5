/* SPDX-License-Identifier: Apache-2.0 */
/* What a --decryption-key names: a file, or a key provider. */
#include "key_file.h"
#include "key_ring.h"

#include <string.h>

int sl_key_ring_add_spec(struct sl_key_ring *ring, const char *spec, struct sl_error *err)
{
    static const char provider[] = "provider:";
    if (strncmp(spec, provider, strlen(provider)) == 0)
        return sl_key_ring_add_provider(ring, spec + strlen(provider), err);
    return sl_key_file_add(ring, spec, err);
}
