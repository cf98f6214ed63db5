/* SPDX-License-Identifier: Apache-2.0 */
/* A URI and a file of offline_fs_kbc, as its two targets read them. */
#pragma once

#include "offline_table.h"
#include "sluice/core/resource_uri.h"

#include <stdlib.h>
#include <string.h>

static inline int
fuzz_offline_table(const uint8_t *data, size_t size, const char *noun, enum sl_offline_pick pick,
                   int (*parse)(const char *, struct sl_resource_uri *, struct sl_error *))
{
    const uint8_t *eol = size ? memchr(data, '\n', size) : NULL;
    if (!eol)
        return 0;
    size_t len = (size_t)(eol - data);
    SL_AUTO_FREE char *text = strndup((const char *)data, len);
    SL_AUTO(sl_offline_table) table = NULL;
    SL_AUTO_DONE(sl_resource_uri) uri = {0};
    SL_AUTO_DONE(sl_bytes) value = {0};
    struct sl_error err;
    if (!text || sl_offline_table_new(noun, &table, &err) < 0)
        abort();
    if (parse(text, &uri, &err) == 0 &&
        sl_offline_table_add(table, (struct sl_span){eol + 1, size - len - 1}, pick, &err) == 0 &&
        sl_offline_table_get(table, uri.path, &value, &err) == 0 &&
        (value.len == 32) != (pick == SL_OFFLINE_KEKS))
        abort();
    return 0;
}
