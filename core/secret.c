/* SPDX-License-Identifier: Apache-2.0 */
#include "sluice/core/secret.h"

#include "sluice/core/wiping_heap.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

/* Powers of two. Room for the keys of thousands of layers and for OpenSSL's private keys, within
 * what an ordinary user may lock by default (8 MiB). */
enum { HEAP_SIZE = 1024 * 1024, SMALLEST_BLOCK = 16 };

/* OpenSSL's decoders read private keys by way of ordinary buffers and leave them as they are. */

static void *openssl_malloc(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(size);
}

static void *openssl_realloc(void *p, size_t size, const char *file, int line)
{
    (void)file, (void)line;
    if (size)
        return sl_wiping_realloc(p, size);
    sl_wiping_free(p);
    return NULL;
}

static void openssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    sl_wiping_free(p);
}

void sl_secret_init(void)
{
    (void)CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free);
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
    if (p && CRYPTO_secure_allocated(p))
        OPENSSL_secure_free(p); /* wipes */
    else
        sl_wiping_free(p);
    errno = saved;
    return NULL;
}
