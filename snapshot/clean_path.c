/* SPDX-License-Identifier: Apache-2.0 */
#include "clean_path.h"

#include <stdlib.h>
#include <string.h>

void sl_clean_path_done(struct sl_clean_path *path)
{
    free(path->text);
    *path = (struct sl_clean_path){0};
}

static int reserve(struct sl_clean_path *path, size_t len, struct sl_error *err)
{
    if (len < path->cap)
        return 0;
    size_t cap = len < 256 ? 512 : 2 * len;
    char *text = realloc(path->text, cap);
    if (!text)
        return sl_error_oom(err);
    path->text = text;
    path->cap = cap;
    return 0;
}

static size_t base_of(const struct sl_clean_path *path)
{
    const char *slash = path->len ? memrchr(path->text, '/', path->len) : NULL;
    return slash ? (size_t)(slash - path->text) + 1 : 0;
}

static int climb(struct sl_clean_path *path, struct sl_error *err)
{
    if (!path->len)
        return sl_error_set(err, SL_E_FORMAT, EINVAL, "the path climbs above the root by '..'");
    path->base = base_of(path);
    path->len = path->base ? path->base - 1 : 0;
    return 0;
}

static int append(struct sl_clean_path *path, const uint8_t *component, size_t len,
                  struct sl_error *err)
{
    if (len > SL_COMPONENT_MAX)
        return sl_error_set(err, SL_E_LIMIT, ENAMETOOLONG,
                            "a component of the path has %zu bytes; file systems allow %d", len,
                            SL_COMPONENT_MAX);
    if (path->len)
        path->text[path->len++] = '/';
    path->base = path->len;
    /* A path may be cleaned in place: it only ever shrinks. */
    memmove(path->text + path->len, component, len);
    path->len += len;
    return 0;
}

static int add_component(struct sl_clean_path *path, const uint8_t *component, size_t len,
                         unsigned *depth, unsigned max_depth, struct sl_error *err)
{
    if (len == 0 || (len == 1 && component[0] == '.'))
        return 0;
    if (len == 2 && component[0] == '.' && component[1] == '.') {
        int r = climb(path, err);
        *depth -= r == 0;
        return r;
    }
    if (++*depth > max_depth)
        return sl_error_set(err, SL_E_LIMIT, E2BIG, "the path has more than %u components",
                            max_depth);
    return append(path, component, len, err);
}

int sl_clean_path_set(struct sl_clean_path *path, struct sl_span name, unsigned depth,
                      struct sl_error *err)
{
    /* Never longer than the name, but for the NUL. */
    int r = reserve(path, name.len + 1, err);
    if (r < 0)
        return r;
    path->len = path->base = 0;
    unsigned seen = 0;
    const uint8_t *p = name.data, *end = p + name.len;
    while (p < end) {
        const uint8_t *slash = memchr(p, '/', (size_t)(end - p));
        const uint8_t *stop = slash ? slash : end;
        r = add_component(path, p, (size_t)(stop - p), &seen, depth, err);
        if (r < 0)
            return r;
        p = stop + 1;
    }
    path->base = base_of(path);
    path->text[path->len] = 0;
    return 0;
}
