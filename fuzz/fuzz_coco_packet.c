/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever writes the manifest controls these bytes: one decoded element of enc.keys.provider.*,
 * opened with the well-known sample key and A256CTR allowed, so that private options are reached.
 */
#include "coco_packet.h"
#include "key_ring.h"
#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int give_sample_kek(void *arg, const char *kid, uint8_t ret[32], struct sl_error *err)
{
    static const uint8_t sample[32] = {0xd9, 0x9b, 0x77, 0x05, 0xb0, 0xba, 0x7a, 0x16,
                                       0x82, 0x95, 0xb3, 0xa3, 0x36, 0x72, 0x70, 0xb0,
                                       0xdd, 0x9b, 0x37, 0x1b, 0xf5, 0x14, 0xca, 0x8b,
                                       0x9b, 0xa7, 0xf0, 0xa3, 0x37, 0x11, 0xda, 0xea};
    (void)arg;
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    if (sl_resource_uri_parse_kid(kid, &uri, err) < 0)
        abort();
    memcpy(ret, sample, sizeof(sample));
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_key_ring) ring = NULL;
    struct sl_bytes plbco = {0};
    struct sl_error err;
    if (sl_key_ring_new(&ring, &err) < 0)
        return 0;
    sl_key_ring_set_kek_lookup(ring, give_sample_kek, NULL);
    sl_key_ring_allow_a256ctr(ring, true);
    if (sl_packet_unwrap(ring, (struct sl_span){data, size}, &plbco, &err) == 0 && !plbco.data)
        abort();
    sl_bytes_wipe(&plbco);
    return 0;
}
