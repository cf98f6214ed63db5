/* SPDX-License-Identifier: Apache-2.0 */
/* One element straight through the function of its protocol, to the layer's key. */
#pragma once

#include "key_ring.h"
#include "plbco.h"

static inline int unwrap_element(sl_unwrap_fn *fn, const struct sl_key_ring *ring,
                                 struct sl_span element, struct sl_layer_key *ret,
                                 struct sl_error *err)
{
    struct sl_bytes plbco = {0};
    int r = fn(ring, element, &plbco, err);
    if (r == 0)
        r = sl_plbco_parse(sl_bytes_span(&plbco), ret, err);
    sl_bytes_wipe(&plbco);
    return r;
}
