/* SPDX-License-Identifier: Apache-2.0 */
/* Names from archives to paths relative to the root of the layer: bytes, without "." and "..". */
#pragma once

#include "sluice/core/bytes.h"

enum { SL_COMPONENT_MAX = 255 }; /* bytes of one name: NAME_MAX of every file system here */

/* "a/b/c": no empty component, no "." or "..", no slash at either end. Empty: the root. */
struct sl_clean_path {
    char *text; /* NUL-terminated; owned, and reused by the next sl_clean_path_set() */
    size_t len, cap;
    size_t base; /* where the last component starts */
};
void sl_clean_path_done(struct sl_clean_path *path);
SL_DEFINE_AUTO_DONE(sl_clean_path, sl_clean_path_done)

/* Cleans lexically, as the Go tools do, but ".." that climbs above the root is an error (it is an
 * attack, or the content would end up elsewhere). depth: components allowed. */
SL_MUST_CHECK int sl_clean_path_set(struct sl_clean_path *path, struct sl_span name, unsigned depth,
                                    struct sl_error *err);
/* The directory that holds it, without the slash; empty: the root. */
static inline struct sl_span sl_clean_path_parent(const struct sl_clean_path *path)
{
    return (struct sl_span){(const uint8_t *)path->text, path->base ? path->base - 1 : 0};
}
static inline struct sl_span sl_clean_path_span(const struct sl_clean_path *path)
{
    return (struct sl_span){(const uint8_t *)path->text, path->len};
}
static inline const char *sl_clean_path_base(const struct sl_clean_path *path)
{
    return path->text + path->base;
}
