/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/secret.h"

#include <errno.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* Powers of two. Room for the keys of thousands of layers and for OpenSSL's private keys, within
 * what an ordinary user may lock by default (8 MiB). */
enum { HEAP_SIZE = 1024 * 1024, SMALLEST_BLOCK = 16 };

void sl_secret_init(void)
{
    /* 1: done; 2: could not be locked, but has its guard pages and stays out of core dumps;
     * 0: there is none, and its users get ordinary memory. */
    (void)CRYPTO_secure_malloc_init(HEAP_SIZE, SMALLEST_BLOCK);
}

void *sl_secret_alloc(size_t size)
{
    void *p = CRYPTO_secure_malloc_initialized() ? OPENSSL_secure_zalloc(size) : NULL;
    return p ? p : calloc(1, size);
}

void *sl_secret_release(void *p)
{
    int saved = errno;
    if (p && CRYPTO_secure_allocated(p)) {
        OPENSSL_secure_free(p); /* wipes */
    } else if (p) {
        OPENSSL_cleanse(p, malloc_usable_size(p));
        free(p);
    }
    errno = saved;
    return NULL;
}
