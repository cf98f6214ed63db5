/* SPDX-License-Identifier: Apache-2.0 */
/* These bytes are the index.json of a layout somebody handed over, into which an image is pushed.
 */
#include "layout_index.h"

#include "sluice/core/json.h"
#include "sluice/core/limits.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes out is JSON, and the same entry put again changes nothing. */
static void check(struct sl_span text, const struct sl_layout_entry *entry)
{
    static const struct sl_json_limits limits = {.size = SL_MANIFEST_MAX};
    SL_AUTO_DONE(sl_bytes) once = {0};
    SL_AUTO_DONE(sl_bytes) twice = {0};
    SL_AUTO(sl_json_doc) doc = NULL;
    struct sl_error err;
    if (sl_layout_index_put(text, entry, &once, &err) < 0)
        return;
    if (sl_json_parse(sl_bytes_span(&once), "index.json", &limits, &doc, &err) < 0 ||
        sl_json_count(sl_json_get(sl_json_root(doc), "manifests")) == 0)
        abort();
    if (sl_layout_index_put(sl_bytes_span(&once), entry, &twice, &err) < 0 ||
        once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_layout_entry entry = {.media_type = "m", .size = 1, .tag = "t"};
    check((struct sl_span){data, size}, &entry);
    entry.tag = NULL;
    check((struct sl_span){data, size}, &entry);
    return 0;
}
