/* SPDX-License-Identifier: Apache-2.0 */
/* The ordinary heap, for libraries that keep copies of secrets in memory they only free. */
#pragma once

#include <stddef.h>

/* As realloc(), but nothing stays behind in the old block. */
void *sl_wiping_realloc(void *p, size_t size);
/* As free(). Keeps errno. */
void sl_wiping_free(void *p);
