/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for keys. Short-lived buffers with key material are wiped (sl_wipe, sl_bytes_wipe); what
 * lives longer than a call lives here: locked, kept out of core dumps, wiped when released. */
#pragma once

#include <stddef.h>

/* For main(), before any thread and any key: sets up the locked heap, which OpenSSL then uses for
 * private keys too, and has OpenSSL wipe all that it frees. Cannot fail: without permission to
 * lock memory keys are only wiped. */
void sl_secret_init(void);
/* Zeroed; NULL when out of memory. Once the locked heap is full, or without sl_secret_init(), it
 * comes from the ordinary heap. */
void *sl_secret_alloc(size_t size);
/* Wipes and frees what sl_secret_alloc() gave. Accepts NULL, returns NULL. */
void *sl_secret_release(void *p);
