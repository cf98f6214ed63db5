/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.provider.NAME: whoever is configured under exactly this name is asked. Other readers
 * take any provider for any name, and so may hand a key to the wrong one.
 */
#include "enc_annotations.h"
#include "key_ring.h"

#include <string.h>

int sl_unwrap_provider(const struct sl_key_ring *ring, const char *name, struct sl_span element,
                       struct sl_bytes *ret_plbco, struct sl_error *err)
{
    if (ring->provider) {
        const char *params = sl_key_ring_provider(ring, name);
        int r = ring->provider(ring->provider_arg, name, params, element, ret_plbco, err);
        if (r != -ENOENT)
            return r;
    }
    if (strcmp(name, SL_NATIVE_PROVIDER) == 0)
        return sl_packet_unwrap(ring, element, ret_plbco, err);
    return sl_error_set(err, SL_E_AUTH, ENOKEY,
                        "key provider %.60s is not configured: set OCICRYPT_KEYPROVIDER_CONFIG",
                        name);
}
