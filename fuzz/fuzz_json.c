/* SPDX-License-Identifier: Apache-2.0 */
/* Registries, token servers, images, key brokers and whoever may write the store control these
 * bytes. What is accepted must be what another strict reader would read: re-emitted from the tree,
 * it is accepted again and emits the same. */
#include "sluice/core/json.h"
#include "sluice/core/json_writer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 16 * 1024 * 1024 };

static void emit(struct sl_json_writer *w, const char *name, const struct sl_json *node)
{
    int64_t i;
    bool b;
    enum sl_json_type type = sl_json_type(node);
    size_t n = sl_json_count(node);
    if (type == SL_JSON_STRING) {
        sl_json_put_string(w, name, sl_json_string(node));
    } else if (sl_json_bool(node, &b)) {
        sl_json_put_bool(w, name, b);
    } else if (sl_json_int64(node, &i)) {
        sl_json_put_int(w, name, i);
    } else if (type == SL_JSON_OBJECT) {
        sl_json_open_object(w, name);
        for (size_t k = 0; k < n; k++) {
            const struct sl_json *member = sl_json_at(node, k);
            if (sl_json_get(node, sl_json_name_at(node, k)) != member)
                abort(); /* a name leads to another member */
            emit(w, sl_json_name_at(node, k), member);
        }
        sl_json_close_object(w);
    } else {
        sl_json_open_array(w, name);
        for (size_t k = 0; k < n; k++)
            emit(w, NULL, sl_json_at(node, k));
        sl_json_close_array(w);
    }
}

static struct sl_bytes rewrite(const struct sl_json_doc *doc)
{
    struct sl_bytes out = {0};
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    emit(w, "root", sl_json_root(doc));
    if (sl_json_end(w, &out, NULL) < 0)
        abort(); /* what was read is not UTF-8 */
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Room for the member "root" that the second reading has around the first. */
    static const struct sl_json_limits outer = {.size = OUT_MAX, .depth = 40};
    SL_AUTO(sl_json_doc) first = NULL;
    SL_AUTO(sl_json_doc) second = NULL;
    struct sl_error err = {0};
    int r = sl_json_parse((struct sl_span){data, size}, "fuzz", NULL, &first, &err);
    if ((r < 0) != (err.code != SL_OK) || (r < 0) != !first)
        abort();
    if (r < 0)
        return 0;
    SL_AUTO_DONE(sl_bytes) once = rewrite(first);
    if (sl_json_parse(sl_bytes_span(&once), "again", &outer, &second, &err) < 0)
        abort();
    SL_AUTO(sl_json_writer) w = sl_json_writer_new(/* pretty= */ false);
    SL_AUTO_DONE(sl_bytes) twice = {0};
    emit(w, "root", sl_json_get(sl_json_root(second), "root"));
    if (sl_json_end(w, &twice, NULL) < 0 || twice.len != once.len ||
        memcmp(twice.data, once.data, once.len) != 0)
        abort();
    return 0;
}
