/* SPDX-License-Identifier: Apache-2.0 */
/* Automatic cleanup for OpenSSL's types. */
#pragma once

#include <openssl/evp.h>

#define SL_OPENSSL_AUTO(type, free_fn)                                                             \
    static inline void type##_autop(type **pp)                                                     \
    {                                                                                              \
        free_fn(*pp);                                                                              \
    }
SL_OPENSSL_AUTO(EVP_MAC, EVP_MAC_free)

#define SL_AUTO_MAC __attribute__((cleanup(EVP_MAC_autop), unused)) EVP_MAC *
