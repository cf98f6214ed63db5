/* SPDX-License-Identifier: Apache-2.0 */
/* A ring with an RSA and an EC key, made once, for targets that need something to try. */
#pragma once

#include "key_ring.h"

#include <stdlib.h>

static inline const struct sl_key_ring *fuzz_key_ring(void)
{
    static struct sl_key_ring *ring;
    if (ring)
        return ring;
    EVP_PKEY *rsa = EVP_RSA_gen(1024);
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    if (!rsa || !ec || sl_key_ring_new(&ring, NULL) < 0 ||
        sl_key_ring_add_key(ring, &rsa, NULL) < 0 || sl_key_ring_add_key(ring, &ec, NULL) < 0)
        abort();
    return ring;
}
