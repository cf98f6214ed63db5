/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enc.keys.provider.NAME: whoever is configured under exactly this name is asked. Other readers
 * take any provider for any name, and so may hand a key to the wrong one.
 */
#include "enc_annotations.h"
#include "key_ring.h"

#include <string.h>

/* -ENOENT: nobody is configured under this name. */
static int ask_provider(const struct sl_key_ring *ring, const char *name, struct sl_span element,
                        struct sl_bytes *ret_plbco, struct sl_error *err)
{
    if (!ring->provider)
        return -ENOENT;
    return ring->provider(ring->provider_arg, name, sl_key_ring_provider(ring, name), element,
                          ret_plbco, err);
}

/* Who names a broker means it: it goes before what the environment configures, which in a guest may
 * well be the socket of that very broker. */
static int open_native(const struct sl_key_ring *ring, struct sl_span element,
                       struct sl_bytes *ret_plbco, struct sl_error *err)
{
    struct sl_error native = {0};
    bool has_broker = ring->kek_lookup;
    if (has_broker && sl_packet_unwrap(ring, element, ret_plbco, &native) == 0)
        return 0;
    bool is_final = native.code == SL_E_CANCELLED || native.errnum == ENOMEM;
    int r = is_final ? -ENOENT : ask_provider(ring, SL_NATIVE_PROVIDER, element, ret_plbco, err);
    if (r != -ENOENT)
        return r < 0 && has_broker ? sl_error_wrap(err, r, "%s; key provider", native.msg) : r;
    if (!has_broker)
        return sl_packet_unwrap(ring, element, ret_plbco, err); /* says what is missing */
    return sl_error_set(err, native.code, native.errnum, "%s", native.msg);
}

int sl_unwrap_provider(const struct sl_key_ring *ring, const char *name, struct sl_span element,
                       struct sl_bytes *ret_plbco, struct sl_error *err)
{
    if (strcmp(name, SL_NATIVE_PROVIDER) == 0)
        return open_native(ring, element, ret_plbco, err);
    int r = ask_provider(ring, name, element, ret_plbco, err);
    return r != -ENOENT
               ? r
               : sl_error_set(
                     err, SL_E_AUTH, ENOKEY,
                     "key provider %.60s is not configured: set OCICRYPT_KEYPROVIDER_CONFIG", name);
}
